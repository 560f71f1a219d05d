"""How good and how consistent networks are that predict one thing of an image."""

from pathlib import Path
from typing import Any

import numpy as np

from symjax import figures
from symjax.experiments.evaluation.estimates import estimate, words
from symjax.experiments.evaluation.measured import Measured, measure, of_images
from symjax.experiments.evaluation.measures import SEED, measures_of
from symjax.experiments.subject import Subject
from symjax.statistics import LEVEL, mean_interval, share_interval
from symjax.symmetry import shift_protocol
from symjax.training.tasks import OfImages

CURVES = 24  # Of single images, in the record and the figure of the diagonal.


def evaluate_images(subject: Subject, folder: Path) -> dict[str, Any]:
  """Measures, and draws `consistency.png` and `diagonal_shift.png`.

  Args:
    subject: the network.
    folder: of the figures, made if need be.

  Returns:
    As `summarise`.

  Raises:
    UserError: as `measure`.
  """
  task, count = of_images(subject.setup.task), len(subject.test.images)
  record = summarise(measure(subject), task)
  metric = words(task.headline)
  figures.consistencies(
    {metric: record[task.headline]},
    task.unit,
    {words(name): found for name, found in record['consistency'].items()},
    folder / 'consistency.png',
    f'{subject.name}: {metric} and consistency of predictions, on {count} test images, '
    'with 95% intervals.',
  )
  figures.diagonal_shift(
    record['diagonal'],
    folder / 'diagonal_shift.png',
    f'{subject.name}: {task.smooth_score_name} while the window moves along the '
    f'diagonal of its scene, for the first {CURVES} of {count} test images and as the '
    'mean over all.',
  )
  return record


def summarise(measured: Measured, task: OfImages) -> dict[str, Any]:
  """The part of `evaluation.json` that was measured.

  It holds the task's test metric under the name that it has in `summary.json`;
  `consistency`: each by name, both as `mean` and `interval` (see
  `symjax.statistics.share_interval`), consistencies also for each repeat; `crop_shift`:
  how it was cut; `diagonal`: smooth scores against the offset, mean over all images and
  curves of the first ones.
  """
  score = measured.scores[task.headline.removeprefix('test_')]
  margins = shift_protocol.shift_margins(measured.size)
  return {
    task.headline: estimate(score.mean(dtype=float), task.interval(score.tolist())),
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


def _consistency(found: np.ndarray, cluster: int) -> dict[str, Any]:
  """Of agreements [repeats, images]; those of one image, and of one draw, cluster."""
  shares = found.mean(axis=0, dtype=float)
  clusters = (np.arange(len(shares)) // cluster).tolist()
  return {
    **estimate(shares.mean(), share_interval(shares.tolist(), clusters)),
    'repeats': found.mean(axis=1, dtype=float).tolist(),
  }


def _diagonal(measured: Measured, task: OfImages) -> dict[str, Any]:
  """Also how much a score changes from one offset to the next, over all images."""
  curves = measured.diagonal.astype(float)
  changes = np.abs(np.diff(curves, axis=0)).mean(axis=0)
  return {
    'score': task.smooth_score_name,
    'offsets': [list(o) for o in shift_protocol.diagonal_offsets(measured.size)],
    'mean': curves.mean(axis=1).tolist(),
    'images': curves[:, :CURVES].T.tolist(),
    'mean_change': estimate(changes.mean(), mean_interval(changes.tolist())),
  }
