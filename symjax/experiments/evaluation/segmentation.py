"""How good and how consistent networks are that predict the class of every pixel."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from symjax import figures
from symjax.errors import UserError
from symjax.experiments.evaluation.estimates import estimate, metrics_of, words
from symjax.experiments.evaluation.measures import FILL, FLIP, views_of_pixels
from symjax.experiments.evaluation.visit import Arrays, Batch, See, join, visit
from symjax.experiments.subject import Subject
from symjax.statistics import LEVEL, jackknife_interval, share_interval
from symjax.symmetry import Agreement, Views, agreement
from symjax.training.images import Normalization
from symjax.training.segmentation import Segmentation
from symjax.training.step import Task

SHOWN = 4  # Images in the figure, from all over the split: neighbours may look alike.


@dataclasses.dataclass(frozen=True)
class Measured:
  """Numbers about every test image, in the order of the split.

  Attributes:
    sums: name -> [images, ...], what the task makes its metrics of.
    all_pixels: name of a consistency -> on how many of each image's pixels two views
      agree.
    labelled: likewise, of the pixels that have a label.
    pictures: of `SHOWN` images at most, as `symjax.figures.segmentations` takes them.
  """

  sums: dict[str, np.ndarray]
  all_pixels: dict[str, Agreement]
  labelled: dict[str, Agreement]
  pictures: list[dict[str, Any]]


def evaluate_segmentation(
  subject: Subject, folder: Path, shifts: Sequence[tuple[int, int]]
) -> dict[str, Any]:
  """Measures, and draws `consistency.png` and `segmentations.png`.

  Args:
    subject: the network.
    folder: of the figures, made if need be.
    shifts: (down, right), in pixels.

  Returns:
    As `summarise`, and `shift`: which `shifts` there were, and what filled the strips
    that they vacate.

  Raises:
    UserError: a shift that leaves nothing in view, or as `measure`.
  """
  test, task = subject.test, subject.setup.task
  assert isinstance(task, Segmentation), 'as for every set of this kind'
  height, width = test.labels.shape[1:]
  measured = measure(subject, views_of_pixels((height, width), shifts))
  record = summarise(measured, task)
  tested = f'{len(test.images)} {test.split} images'
  figures.consistencies(
    metrics_of(record),
    'of labelled pixels: a mean over classes, or a share',
    {words(name): found for name, found in record['consistency'].items()},
    folder / 'consistency.png',
    f'{subject.name}: metrics and consistency of the segmentation of {tested}, the '
    'latter as the mean share of pixels over images, with 95% intervals.',
    'share of pixels that both views see',
  )
  figures.segmentations(
    measured.pictures,
    task.class_names,
    test.name,
    folder / 'segmentations.png',
    f'{subject.name}: {len(measured.pictures)} of {tested}, what the network makes of '
    'them, and what it makes of the flipped image, flipped back.',
  )
  shift = {'shifts': [list(shift) for shift in shifts], 'fill': FILL}
  return record | {'shift': shift}


def measure(subject: Subject, views: Mapping[str, Views]) -> Measured:
  """Looks at each test image as it is, and as each of `views` has it.

  Raises:
    UserError: the batch does not divide among the devices, or the network gives numbers
      that are not finite.
  """
  test, setup = subject.test, subject.setup
  look = functools.partial(
    _look,
    setup.normalization,
    {name: jax.jit(view.transform) for name, view in views.items()},
    jax.jit(functools.partial(_judge, setup.task)),
    jax.jit(functools.partial(_compare, views, test.ignore_label)),
    jax.jit(setup.task.predictions),
  )
  count = len(test.images)
  shown = np.linspace(0, count - 1, min(SHOWN, count)).round().astype(int)
  parts: list[Arrays] = []
  pictures = []
  for found in visit(subject, look):
    if not found['finite'].all():
      # Classes would be chosen of them all the same, and agree.
      raise UserError(
        f'{subject.name} gives NaN or infinity on {test.name}; look at its weights, or '
        'give others'
      )
    parts.append({k: found[k] for k in ('sums', 'all_pixels', 'labelled')})
    for i in np.flatnonzero(np.isin(found['place'], shown)):
      place = int(found['place'][i])
      pictures.append(
        {
          'name': f'{test.split} image {place}',
          'image': test.images[place],
          'truth': test.labels[place],
          'prediction': found['prediction'][i],
          'flipped_back': found['flipped_back'][i],
        }
      )
  whole = join(parts)
  # JAX sorts a dict by name, and views have an order.
  agreements = {
    kind: {name: whole[kind][name] for name in views}
    for kind in ('all_pixels', 'labelled')
  }
  return Measured(whole['sums'], **agreements, pictures=pictures)


def _look(
  normalization: Normalization,
  transforms: Mapping[str, Callable[[jax.Array], jax.Array]],
  judge: Callable[[Any, Batch], Arrays],
  compare: Callable[..., Arrays],
  predict: Callable[[Any], jax.Array],
  see: See,
  batch: Batch,
) -> Arrays:
  """The fields of `Measured` for one batch, and what its pictures are made of."""
  images = _normalized(batch['image'], normalization)
  outputs = see(images)
  prediction = predict(outputs)
  others = {
    name: predict(see(transform(images))) for name, transform in transforms.items()
  }
  return {
    'place': batch['place'],
    'prediction': prediction,
    **judge(outputs, batch),
    **compare(prediction, others, batch['label']),
  }


@functools.partial(jax.jit, static_argnames=('normalization',))
def _normalized(images: jax.Array, normalization: Normalization) -> jax.Array:
  return normalization(images)


def _judge(task: Task, outputs: jax.Array, batch: Batch) -> Arrays:
  """What the metrics are made of, and whether the outputs of an image are finite."""
  return {
    'sums': {
      'loss': task.losses(outputs, batch),
      'count': task.counts(batch),
      **task.scores(outputs, batch),
      **task.tallies(outputs, batch),
    },
    'finite': jnp.isfinite(outputs).all(axis=(1, 2, 3)),
  }


def _compare(
  views: Mapping[str, Views],
  ignore_label: int | None,
  prediction: jax.Array,
  others: Mapping[str, jax.Array],
  labels: jax.Array,
) -> Arrays:
  """How the predictions of images agree with those of their other views."""
  known = None if ignore_label is None else labels != ignore_label
  found: dict[str, Any] = {
    kind: {
      name: agreement(prediction, others[name], view, counted=pixels)
      for name, view in views.items()
    }
    for kind, pixels in (('all_pixels', None), ('labelled', known))
  }
  return found | {'flipped_back': views[FLIP].inverse(others[FLIP])}


def summarise(measured: Measured, task: Task) -> dict[str, Any]:
  """The part of `evaluation.json` that was measured.

  Returns:
    The task's test metrics under the names that they have in `summary.json`, those that
    are one number with their interval, by the jackknife over images.

    `consistency`: each by name. `mean` and `interval` are of the shares of images: how
    many of an image's pixels two views agree on, of all that both see. `pooled` is the
    share of the pixels of all images together. `labelled` has the same of the pixels
    that have a label, and of how many `images`, as those without one are left out.
    (Where images lie on a canvas with room to spare, that room is among all pixels and
    not among the labelled ones.) All intervals are `symjax.statistics.share_interval`,
    over images: what one image's pixels have in common makes them no sample.
  """
  return {
    **_metrics(measured.sums, task),
    'consistency': {
      name: {
        **_agreements(found),
        'labelled': {
          **_agreements(measured.labelled[name]),
          'images': int((measured.labelled[name].compared > 0).sum()),
        },
      }
      for name, found in measured.all_pixels.items()
    },
    'confidence': LEVEL,
  }


def _agreements(found: Agreement) -> dict[str, Any]:
  """The mean over images, and the pooled share."""
  same, compared = (np.asarray(counts, float) for counts in found)
  weights = compared[compared > 0]
  shares = same[compared > 0] / weights
  return {
    **estimate(shares.mean(), share_interval(shares.tolist())),
    'pooled': estimate(
      same.sum() / compared.sum(),
      share_interval(shares.tolist(), weights=weights.tolist()),
    ),
  }


def _metrics(sums: Mapping[str, np.ndarray], task: Task) -> dict[str, Any]:
  """The task's metrics, and the intervals of those that are one number."""
  wide = {name: values.astype(float) for name, values in sums.items()}
  whole = {name: values.sum(axis=0) for name, values in wide.items()}
  metrics = task.metrics(whole)
  without = [
    task.metrics({name: whole[name] - wide[name][i] for name in whole})
    for i in range(len(wide['count']))
  ]
  found: dict[str, Any] = {}
  for test_name in task.reported:
    name = test_name.removeprefix('test_')
    found[test_name] = metrics[name]
    if isinstance(metrics[name], float):
      low, high = jackknife_interval(metrics[name], [m[name] for m in without])
      found[test_name] = estimate(metrics[name], (max(0, low), min(1, high)))
  return found
