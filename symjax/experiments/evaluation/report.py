"""An evaluation as a record, a table and figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symjax import records
from symjax.errors import UserError
from symjax.experiments.evaluation.estimates import metrics_of, words
from symjax.experiments.evaluation.images import evaluate_images
from symjax.experiments.evaluation.measures import SHIFTS
from symjax.experiments.evaluation.segmentation import evaluate_segmentation
from symjax.experiments.provenance import provenance
from symjax.experiments.subject import Subject
from symjax.experiments.workdir import Workdir


def report_evaluation(
  subject: Subject,
  out: str | Path,
  shifts: Sequence[tuple[int, int]] | None = None,
) -> dict[str, Any]:
  """Measures a network: writes `evaluation.json` and two figures.

  Args:
    subject: the network.
    out: folder to write to, made if need be.
    shifts: (down, right), in pixels, that segmentations are compared under; None is
      `SHIFTS`. Predictions of whole images have shifts of their own, drawn at random.

  Returns:
    What `evaluation.json` holds: which network and data it was, and how good and how
    consistent: see `images.summarise` and `segmentation.summarise`.

  Raises:
    UserError: shifts that cannot be, or a network that cannot be measured; nothing is
      written then.
  """
  config, test, target = subject.config, subject.test, Workdir(Path(out))
  if test.kind == 'segmentation':
    chosen = SHIFTS if shifts is None else shifts
    found = evaluate_segmentation(subject, target.figures, chosen)
  elif shifts is None:
    found = evaluate_images(subject, target.figures)
  else:
    raise UserError(
      f'shifts are chosen for segmentations, and {test.name} has one label an image, '
      'whose shifts are drawn as Zhang does: give none'
    )
  record = {
    'name': subject.name,
    'model': config['model']['name'],
    # Of weights from elsewhere nobody knows with which seed they were trained.
    'seed': None if subject.step is None else config['seed'],
    'step': subject.step,
    'config': config,
    'dataset': test.name,
    'dataset_note': test.description,
    **found,
    'test_examples': len(test.images),
    **provenance(),
  }
  records.write_json(target.evaluation, record)
  return record


def evaluation_table(record: Mapping[str, Any]) -> str:
  """A row for each test metric and one for each consistency, as plain text.

  Where pixels are what is predicted, a consistency has the same of labelled ones beside
  it, and a last line names the classes that the split does not show.
  """
  rows = metrics_of(record) | {
    f'consistency: {words(name)}': found
    for name, found in record['consistency'].items()
  }
  width = max(map(len, rows))
  head = f'{"":{width}}   mean  95% interval'
  of_pixels = any('labelled' in found for found in rows.values())
  lines = [f'{head}    labelled pixels alone' if of_pixels else head]
  for name, found in rows.items():
    line = f'{name:{width}}  {_text(found)}'
    lines.append(f'{line}  {_text(found["labelled"])}' if 'labelled' in found else line)
  absent = [name for name, iou in record.get('test_iou', {}).items() if iou is None]
  if absent:
    lines.append(f'without a pixel, and so left out of means: {", ".join(absent)}')
  return '\n'.join(lines)


def _text(found: Mapping[str, Any]) -> str:
  low, high = found['interval']
  return f'{found["mean"]:.3f}  {low:.3f} to {high:.3f}'
