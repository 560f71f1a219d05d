"""A trained network's accuracy and consistency over the sizes of its images."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from symjax import figures, records
from symjax.errors import UserError
from symjax.experiments.evaluation import measure, of_images, summarise, words
from symjax.experiments.provenance import provenance
from symjax.experiments.subject import Subject
from symjax.experiments.workdir import Workdir
from symjax.nn import audit

# Of what an evaluation measures, in the table and the figure.
SHOWN = ('crop_shift', 'circular_shift', 'horizontal_flip')


def sweep_sizes(
  subject: Subject, sizes: Sequence[int], out: str | Path
) -> dict[str, Any]:
  """Evaluates a network on test images resized to each size.

  Writes `size_sweep.json` and `figures/size_sweep.png`. A network that has learned the
  arithmetic of its training size falls off on both sides of it (Alsallakh et al.,
  "Mind the pool", ICLR 2023); even sizes are told apart, because at others a strided
  layer reads the two ends of its map differently.

  Args:
    subject: the network.
    sizes: sides of square images, in pixels.
    out: folder to write to, made if need be.

  Returns:
    What `size_sweep.json` holds: which network and data it was; `trained_at`:
    [height, width]; `headline`: the task's test metric; and `rows`, in the order of
    the sizes: `size`, `even`, the metric, and `consistency`, as in `evaluation.json`.

  Raises:
    UserError: a size that is too small for the network, or one that its weights do not
      fit, or labels of pixels; nothing is written then.
  """
  setup, test = subject.setup, subject.test
  task = of_images(setup.task)
  if test.kind == 'segmentation':
    raise UserError(
      f'{test.name} has one label a pixel, and sizes are swept where images have one '
      'each; train at another data.image_size, and evaluate that'
    )
  resized = {size: _resized(subject, size) for size in sorted(set(sizes))}
  rows = []
  for size, other in resized.items():
    found = summarise(measure(other), task)
    shape = (size, size, test.images.shape[-1])
    rows.append(
      {
        'size': size,
        'even': not audit(setup.model, shape, train=False).uneven,
        task.headline: found[task.headline],
        'consistency': found['consistency'],
      }
    )
  height, width, _ = setup.normalization.output_shape(test.images.shape[1:])
  record = {
    'name': subject.name,
    'model': subject.config['model']['name'],
    'seed': subject.config['seed'],
    'step': subject.step,
    'dataset': test.name,
    'dataset_note': test.description,
    'test_examples': len(test.images),
    'trained_at': [height, width],
    'headline': task.headline,
    'rows': rows,
    **provenance(),
  }
  target = Workdir(Path(out))
  target.path.mkdir(parents=True, exist_ok=True)
  records.write_json(target.size_sweep, record)
  metric = words(task.headline)
  figures.size_sweep(
    height,
    {metric: [row[task.headline] for row in rows]},
    {words(name): [row['consistency'][name] for row in rows] for name in SHOWN},
    [(row['size'], row['even']) for row in rows],
    target.figures / 'size_sweep.png',
    f'{subject.name}: {metric} and consistency on {len(test.images)} test images '
    'resized to each size, with 95% intervals. Filled marks: no layer reads its map '
    'unevenly; the vertical line is the size of training.',
  )
  return record


def size_table(record: Mapping[str, Any]) -> str:
  """A row for each size, as plain text; an asterisk marks uneven ones.

  Args:
    record: what `sweep_sizes` returns.
  """
  names = [words(record['headline']), *map(words, SHOWN)]
  lines = ['size    ' + '  '.join(f'{name:>15}' for name in names)]
  for row in record['rows']:
    found = [row[record['headline']], *(row['consistency'][name] for name in SHOWN)]
    mark = ' ' if row['even'] else '*'
    lines.append(
      f'{row["size"]:>4} {mark}  ' + '  '.join(f'{f["mean"]:>15.3f}' for f in found)
    )
  return '\n'.join(lines)


def _resized(subject: Subject, size: int) -> Subject:
  """The same network, looking at images of another size.

  Raises:
    UserError: they are too small for it, or its weights are those of one size.
  """
  setup = subject.setup
  normalization = dataclasses.replace(setup.normalization, image_size=(size, size))
  shape = normalization.output_shape(subject.test.images.shape[1:])
  images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
  key = jax.eval_shape(lambda: jax.random.key(0))
  try:
    needed = jax.eval_shape(setup.model.init, key, images)
  except UserError as error:
    raise UserError(f'--sizes={size} is too small for this network: {error}') from None
  if jax.tree.map(jnp.shape, needed['params']) != jax.tree.map(
    jnp.shape, dict(subject.variables['params'])
  ):
    raise UserError(
      f'--sizes={size}: the weights of this network fit images of one size only'
    )
  config = dict(subject.config)
  config['data'] = {**config['data'], 'image_size': size}
  return dataclasses.replace(
    subject,
    config=config,
    setup=dataclasses.replace(setup, normalization=normalization),
    name=f'{subject.name} at {size} pixels',
  )
