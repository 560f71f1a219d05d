"""What a network makes of every view of every test image."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from symjax.errors import UserError
from symjax.experiments.data import load_scenes
from symjax.experiments.evaluation.measures import MEASURES, measures_of
from symjax.experiments.evaluation.visit import Arrays, Batch, See, join, visit
from symjax.experiments.subject import Subject
from symjax.symmetry import agreement, shift_protocol, views
from symjax.training.images import Normalization
from symjax.training.step import Task
from symjax.training.tasks import OfImages


class Seen(NamedTuple):
  """What a network makes of one view of a batch.

  Attributes:
    predictions: as the task has them.
    scores: name -> [batch].
    smooth_score: [batch].
  """

  predictions: jax.Array
  scores: dict[str, jax.Array]
  smooth_score: jax.Array


@dataclasses.dataclass(frozen=True)
class Measured:
  """Numbers about every test image, in the order of the split.

  Attributes:
    size: [height, width] of images as the network sees them.
    scenes: what the crops of `crop_shift` are cut from: 'resized', the image at a
      larger size, as Zhang has it (256 for 224); or 'extended', the image at its own
      size and what repeats its edge, where images come in one size: a network that was
      trained on whole images would meet nothing but enlarged details in larger ones.
    scores: name -> [images], as the task scores them.
    agreements: name of a measure -> [repeats, images].
    diagonal: [offsets, images], the task's smooth scores of the windows along the
      diagonal of the scene, at `shift_protocol.diagonal_offsets`.
  """

  size: tuple[int, int]
  scenes: str
  scores: dict[str, np.ndarray]
  agreements: dict[str, np.ndarray]
  diagonal: np.ndarray


def measure(subject: Subject) -> Measured:
  """Looks at each test image in every view.

  Raises:
    UserError: the batch does not divide among the devices, the scenes cannot be had,
      or the network gives numbers that are not finite.
  """
  setup = subject.setup
  height, width, _ = setup.normalization.output_shape(subject.test.images.shape[1:])
  size = (height, width)
  side = height + shift_protocol.shift_margins(size)[0]  # Cut images are squares.
  scenes = load_scenes(subject.config['data'], side, *subject.folders)
  look = functools.partial(
    _look,
    jax.jit(functools.partial(_read, of_images(setup.task))),
    setup.normalization,
    size,
  )
  found = join(list(visit(subject, look, scenes)))
  if not np.isfinite(found['diagonal']).all():
    # Labels would be chosen of them all the same, and agree.
    raise UserError(
      f'{subject.name} gives NaN or infinity on {subject.test.name}; look at its '
      'weights, or give others'
    )
  return Measured(
    size,
    'extended' if scenes is None else 'resized',
    found['scores'],
    {name: shares.T for name, shares in found['agreements'].items()},
    found['diagonal'].T,
  )


@functools.partial(jax.jit, static_argnames=('normalization', 'size'))
def _seen(
  batch: Batch, normalization: Normalization, size: tuple[int, int]
) -> tuple[jax.Array, jax.Array]:
  """The images and their scenes, normalised."""
  images = normalization(batch['image'])
  if 'scene' in batch:
    own_size = dataclasses.replace(normalization, image_size=None)
    return images, own_size(batch['scene'])
  return images, views.extended(images, shift_protocol.shift_margins(size))


def of_images(task: Task) -> OfImages:
  """The task, if it is of one label an image.

  Raises:
    UserError: it is not.
  """
  if not isinstance(task, OfImages):
    raise UserError(
      'this is measured of networks that say one thing of an image, and a segmentation '
      'says one of each pixel; run.evaluate measures it'
    )
  return task


def _read(task: OfImages, outputs: Any, batch: Batch) -> Seen:
  """What the outputs for one view of a batch say."""
  return Seen(
    task.predictions(outputs),
    task.scores(outputs, batch),
    task.smooth_score(outputs, batch),
  )


def _look(
  read: Callable[[Any, Batch], Seen],
  normalization: Normalization,
  size: tuple[int, int],
  see: See,
  batch: Batch,
) -> Arrays:
  """Of one batch `scores` and `agreements` by name, and `diagonal`."""
  images, scenes = _seen(batch, normalization, size)

  def seen(view: jax.Array) -> Seen:
    return read(see(view), batch)

  upright = seen(images)
  places = batch['place']
  predictions: dict[str, list[tuple[jax.Array, jax.Array]]] = {}
  for name, how in measures_of(size).items():
    predictions[name] = []
    for repeat in range(how.repeats):
      shown = scenes if how.on_scenes else images
      first, second = _pair(shown, repeat, places, name, size)
      before = seen(first).predictions if how.drawn else upright.predictions
      predictions[name].append((before, seen(second).predictions))
  windows = [
    _window(scenes, np.array(offset, np.int32), size)
    for offset in shift_protocol.diagonal_offsets(size)
  ]
  return {
    'scores': upright.scores,
    'agreements': _agreements(predictions, places, size),
    'diagonal': np.stack([jax.device_get(seen(w).smooth_score) for w in windows], 1),
  }


@functools.partial(jax.jit, static_argnames=('name', 'size'))
def _pair(
  images: jax.Array, repeat: int, places: jax.Array, name: str, size: tuple[int, int]
) -> tuple[jax.Array, jax.Array]:
  """The two views of a measure."""
  made = MEASURES[name].views(jnp.asarray(repeat), places, size)
  return made.reference(images), made.transform(images)


@functools.partial(jax.jit, static_argnames=('size',))
def _agreements(
  predictions: Mapping[str, Sequence[tuple[jax.Array, jax.Array]]],
  places: jax.Array,
  size: tuple[int, int],
) -> dict[str, jax.Array]:
  """Name -> [batch, repeats], of the predictions of every pair of views."""
  return {
    name: jnp.stack(
      [
        agreement(*pair, MEASURES[name].views(jnp.asarray(repeat), places, size)).shares
        for repeat, pair in enumerate(pairs)
      ],
      axis=1,
    )
    for name, pairs in predictions.items()
  }


@functools.partial(jax.jit, static_argnames=('size',))
def _window(scenes: jax.Array, offset: jax.Array, size: tuple[int, int]) -> jax.Array:
  """The windows of a batch at one offset."""
  offsets = jnp.broadcast_to(offset[None, :], (len(scenes), 2))
  return views.windows(scenes, offsets, size)
