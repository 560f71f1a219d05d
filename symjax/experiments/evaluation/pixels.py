"""What a network makes of every pixel of every test image, in every view."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from symjax.errors import UserError
from symjax.experiments.evaluation.measures import FLIP
from symjax.experiments.evaluation.visit import Arrays, Batch, See, join, visit
from symjax.experiments.subject import Subject
from symjax.symmetry import Agreement, Views, agreement
from symjax.training.step import Task

SHOWN = 4  # Pictures, from all over the split: neighbouring images may look alike.


@dataclasses.dataclass(frozen=True)
class MeasuredPixels:
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


def measure_pixels(subject: Subject, views: Mapping[str, Views]) -> MeasuredPixels:
  """Looks at each test image as it is, and as each of `views` has it.

  Args:
    subject: the network.
    views: by name, with `FLIP` among them; the first view of each is the image itself.

  Raises:
    UserError: the batch does not divide among the devices, or the network gives numbers
      that are not finite.
  """
  test, setup = subject.test, subject.setup
  normalize = jax.jit(setup.normalization)
  predict = jax.jit(setup.task.predictions)
  moves = {name: jax.jit(view.transform) for name, view in views.items()}
  judge = jax.jit(functools.partial(_judge, setup.task))
  compare = jax.jit(functools.partial(_compare, views, test.ignore_label))

  def look(see: See, batch: Batch) -> Arrays:
    images = normalize(batch['image'])
    outputs = see(images)
    prediction = predict(outputs)
    others = {name: predict(see(move(images))) for name, move in moves.items()}
    return {
      'place': batch['place'],
      'prediction': prediction,
      **judge(outputs, batch),
      **compare(prediction, others, batch['label']),
    }

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
    # Not the predictions: those of a whole split may not fit into memory.
    parts.append({key: found[key] for key in ('sums', 'all_pixels', 'labelled')})
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
  return MeasuredPixels(whole['sums'], **agreements, pictures=pictures)


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
