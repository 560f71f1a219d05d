"""An evaluation as a record, a table and two figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from symjax import figures, records
from symjax.experiments.evaluation.measured import Measured, measure
from symjax.experiments.evaluation.measures import SEED, measures_of
from symjax.experiments.provenance import provenance
from symjax.experiments.results import headline_of
from symjax.experiments.subject import Subject
from symjax.experiments.workdir import Workdir
from symjax.statistics import LEVEL, mean_interval, share_interval
from symjax.symmetry import shift_protocol
from symjax.training.step import Task

CURVES = 24  # Of single images, in the record and the figure of the diagonal.


def report_evaluation(subject: Subject, out: str | Path) -> dict[str, Any]:
  """Measures a network: writes `evaluation.json` and two figures.

  Args:
    subject: the network.
    out: folder to write to, made if need be.

  Returns:
    What `evaluation.json` holds: which network and data it was, the task's test metric
    under the name that it has in `summary.json`, `consistency`: each by name, both as
    `mean` and `interval` (see `symjax.statistics.share_interval`), consistencies also
    for each repeat; `crop_shift`: how it was cut; `diagonal`: smooth scores against
    the offset, mean over all images and curves of the first ones.
  """
  config, test = subject.config, subject.test
  record = {
    'name': subject.name,
    'model': config['model']['name'],
    # Of weights from elsewhere nobody knows with which seed they were trained.
    'seed': None if subject.step is None else config['seed'],
    'step': subject.step,
    'config': config,
    'dataset': test.name,
    'dataset_note': test.description,
    **summarise(measure(subject), subject.setup.task),
    'test_examples': len(test.images),
    **provenance(),
  }
  target = Workdir(Path(out))
  target.path.mkdir(parents=True, exist_ok=True)
  metric = words(subject.setup.task.headline)
  figures.consistencies(
    {metric: record[subject.setup.task.headline]},
    subject.setup.task.unit,
    {words(name): found for name, found in record['consistency'].items()},
    target.figures / 'consistency.png',
    f'{subject.name}: {metric} and consistency of predictions, on '
    f'{len(test.images)} test images, with 95% intervals.',
  )
  figures.diagonal_shift(
    record['diagonal'],
    target.figures / 'diagonal_shift.png',
    f'{subject.name}: {subject.setup.task.smooth_score_name} while the window moves '
    f'along the diagonal of its scene, for the first {CURVES} of {len(test.images)} '
    'test images and as the mean over all.',
  )
  records.write_json(target.evaluation, record)
  return record


def summarise(measured: Measured, task: Task) -> dict[str, Any]:
  """The part of `evaluation.json` that was measured."""
  score = measured.scores[task.headline.removeprefix('test_')]
  margins = shift_protocol.shift_margins(measured.size)
  return {
    task.headline: _with_interval(score, task.interval(measured.scores)),
    'consistency': {
      name: _consistency(measured.agreements[name], how.cluster)
      for name, how in measures_of(measured.size).items()
    },
    'confidence': LEVEL,
    'crop_shift': {
      'size': list(measured.size),
      'scene': [n + m for n, m in zip(measured.size, margins, strict=True)],
      'scenes': measured.scenes,
      'images_per_offset': shift_protocol.IMAGES_PER_OFFSET,
      'seed': SEED,
    },
    'diagonal': _diagonal(measured, task),
  }


def _with_interval(values: np.ndarray, interval: tuple[float, float]) -> dict[str, Any]:
  return {'mean': float(values.mean(dtype=float)), 'interval': list(interval)}


def _consistency(found: np.ndarray, cluster: int) -> dict[str, Any]:
  """Of agreements [repeats, images]; those of one image, and of one draw, cluster."""
  shares = found.mean(axis=0, dtype=float)
  clusters = (np.arange(len(shares)) // cluster).tolist()
  return {
    **_with_interval(shares, share_interval(shares.tolist(), clusters)),
    'repeats': found.mean(axis=1, dtype=float).tolist(),
  }


def _diagonal(measured: Measured, task: Task) -> dict[str, Any]:
  """Also how much a score changes from one offset to the next, over all images."""
  curves = measured.diagonal.astype(float)
  changes = np.abs(np.diff(curves, axis=0)).mean(axis=0)
  return {
    'score': task.smooth_score_name,
    'offsets': [list(o) for o in shift_protocol.diagonal_offsets(measured.size)],
    'mean': curves.mean(axis=1).tolist(),
    'images': curves[:, :CURVES].T.tolist(),
    'mean_change': _with_interval(changes, mean_interval(changes.tolist())),
  }


def evaluation_table(record: Mapping[str, Any]) -> str:
  """A row for the test metric and one for each consistency, as plain text."""
  metric = headline_of(record)
  rows = {words(metric): record[metric]} | {
    f'consistency: {words(name)}': found
    for name, found in record['consistency'].items()
  }
  width = max(map(len, rows))
  lines = [f'{"":{width}}   mean  95% interval']
  for name, found in rows.items():
    low, high = found['interval']
    lines.append(f'{name:{width}}  {found["mean"]:.3f}  {low:.3f} to {high:.3f}')
  return '\n'.join(lines)


def words(name: str) -> str:
  """A name of a record in words."""
  return name.replace('_', ' ')
