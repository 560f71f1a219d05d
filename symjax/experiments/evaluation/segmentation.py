"""How good and how consistent networks are that predict the class of every pixel."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symjax import figures
from symjax.data import Dataset
from symjax.errors import UserError
from symjax.experiments.evaluation.estimates import estimate, metrics_of, words
from symjax.experiments.evaluation.measures import FILL, views_of_pixels
from symjax.experiments.evaluation.pixels import MeasuredPixels, measure_pixels
from symjax.experiments.subject import Subject
from symjax.statistics import LEVEL, jackknife_interval, share_interval
from symjax.symmetry import Agreement
from symjax.training.segmentation import Segmentation
from symjax.training.step import Task


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
    UserError: a shift that leaves nothing in view, or as `measure_pixels`.
  """
  test, task = subject.test, subject.setup.task
  assert isinstance(task, Segmentation), 'as for every set of this kind'
  height, width = test.labels.shape[1:]
  _require_labelled(test)
  measured = measure_pixels(subject, views_of_pixels((height, width), shifts))
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
    [words(name) for name in task.class_names],
    test.name,
    folder / 'segmentations.png',
    f'{subject.name}: {len(measured.pictures)} of {tested}, what the network makes of '
    'them, and what it makes of the flipped image, flipped back.',
  )
  shift = {'shifts': [list(shift) for shift in shifts], 'fill': FILL}
  return record | {'shift': shift}


def _require_labelled(test: Dataset) -> None:
  """Checks that there are images to take an interval over.

  Raises:
    UserError: fewer than two images have a label.
  """
  counted = (test.labels != test.ignore_label).any((1, 2)).sum()
  if counted < 2:
    raise UserError(
      f'{test.name} {test.split} has {counted} images with labels, and an interval '
      'takes two or more: give a larger data.test_examples'
    )


def summarise(measured: MeasuredPixels, task: Task) -> dict[str, Any]:
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
    over images: what one image's pixels have in common makes them no sample. (Images
    count as independent, which neighbouring frames of a video are not quite.)
  """
  return {
    **_metrics(measured.sums, task),
    'consistency': {
      name: {
        **_agreements(found, name),
        'labelled': {
          **_agreements(measured.labelled[name], name),
          'images': int((measured.labelled[name].compared > 0).sum()),
        },
      }
      for name, found in measured.all_pixels.items()
    },
    'confidence': LEVEL,
  }


def _agreements(found: Agreement, name: str) -> dict[str, Any]:
  """The mean over images, and the pooled share.

  Raises:
    UserError: there is nothing to compare.
  """
  same, compared = (np.asarray(counts, float) for counts in found)
  if not compared.any():
    raise UserError(
      f'{words(name)} leaves no labelled pixel in view; give a smaller --shift'
    )
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
