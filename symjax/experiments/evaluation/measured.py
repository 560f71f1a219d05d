"""What a network makes of every view of every test image."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from symjax import data
from symjax.data import Dataset
from symjax.errors import UserError
from symjax.experiments.data import load_scenes
from symjax.experiments.evaluation.measures import MEASURES, measures_of
from symjax.experiments.subject import Subject
from symjax.progress import progress
from symjax.symmetry import agreement, shift_protocol, views
from symjax.training import devices
from symjax.training.images import Normalization
from symjax.training.step import Task

Arrays = dict[str, Any]


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

  The images are split over all devices, in batches of the training's size. The network
  is compiled once, and called once for every view.

  Raises:
    UserError: the batch does not divide among the devices, the scenes cannot be had,
      or the network gives numbers that are not finite.
  """
  setup, config = subject.setup, subject.config
  height, width, _ = setup.normalization.output_shape(subject.test.images.shape[1:])
  size = (height, width)
  side = height + shift_protocol.shift_margins(size)[0]  # Cut images are squares.
  scenes = load_scenes(config['data'], side, *subject.folders)

  mesh = devices.make_mesh(config['train']['batch_size'])
  variables = jax.device_put(subject.variables, devices.replicated(mesh))
  see = jax.jit(functools.partial(_see, setup.model, setup.task))
  found = []
  for batch in _batches(subject, scenes):
    placed = devices.place_batch(mesh, batch)
    images, larger = _seen(placed, setup.normalization, size)
    numbers = _look(
      functools.partial(see, variables, placed), placed['place'], images, larger, size
    )
    found.append(_only(jax.device_get(numbers), batch['mask']))
  whole = jax.tree.map(lambda *parts: np.concatenate(parts, axis=-1), *found)
  if not np.isfinite(whole['diagonal']).all():
    # Labels would be chosen of them all the same, and agree.
    raise UserError(
      f'{subject.name} gives NaN or infinity on {subject.test.name}; look at its '
      'weights, or give others'
    )
  return Measured(size, 'extended' if scenes is None else 'resized', **whole)


def _only(numbers: Arrays, real: np.ndarray) -> Arrays:
  """Arrays [..., batch] without the images that fill up a batch."""
  return jax.tree.map(lambda leaf: leaf[..., real], numbers)


def _batches(
  subject: Subject, scenes: Dataset | None
) -> Iterator[dict[str, np.ndarray]]:
  """Batches of the test split, with `place` and, where there are any, `scene`."""
  size = subject.config['train']['batch_size']
  count = math.ceil(len(subject.test.images) / size)
  batches = data.evaluation_batches(subject.test, size)
  larger = data.evaluation_batches(scenes, size) if scenes is not None else None
  for i in progress(range(count), f'evaluating {subject.name}'):
    batch = next(batches) | {'place': np.arange(i * size, (i + 1) * size)}
    yield batch if larger is None else batch | {'scene': next(larger)['image']}


@functools.partial(jax.jit, static_argnames=('normalization', 'size'))
def _seen(
  batch: Mapping[str, jax.Array], normalization: Normalization, size: tuple[int, int]
) -> tuple[jax.Array, jax.Array]:
  """The images and their scenes, normalised."""
  images = normalization(batch['image'])
  if 'scene' in batch:
    own_size = dataclasses.replace(normalization, image_size=None)
    return images, own_size(batch['scene'])
  return images, views.extended(images, shift_protocol.shift_margins(size))


def _see(
  model: nn.Module,
  task: Task,
  variables: Any,
  batch: Mapping[str, jax.Array],
  view: jax.Array,
) -> Seen:
  """What the network makes of one view of a batch; compiled once for all of them."""
  outputs: Any = model.apply(variables, view, train=False)
  return Seen(
    task.predictions(outputs),
    task.scores(outputs, batch),
    task.smooth_score(outputs, batch),
  )


def _look(
  see: Callable[[jax.Array], Seen],
  places: jax.Array,
  images: jax.Array,
  scenes: jax.Array,
  size: tuple[int, int],
) -> Arrays:
  """The fields of `Measured` for one batch."""
  upright = see(images)
  predictions: dict[str, list[tuple[jax.Array, jax.Array]]] = {}
  for name, how in measures_of(size).items():
    predictions[name] = []
    for repeat in range(how.repeats):
      shown = scenes if how.on_scenes else images
      first, second = _pair(shown, repeat, places, name, size)
      before = see(first).predictions if how.drawn else upright.predictions
      predictions[name].append((before, see(second).predictions))
  windows = [
    _window(scenes, np.array(offset, np.int32), size)
    for offset in shift_protocol.diagonal_offsets(size)
  ]
  return {
    'scores': upright.scores,
    'agreements': _agreements(predictions, places, size),
    'diagonal': np.stack([jax.device_get(see(w).smooth_score) for w in windows]),
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
  """Name -> [repeats, batch], of the predictions of every pair of views."""
  return {
    name: jnp.stack(
      [
        agreement(*pair, MEASURES[name].views(jnp.asarray(repeat), places, size)).shares
        for repeat, pair in enumerate(pairs)
      ]
    )
    for name, pairs in predictions.items()
  }


@functools.partial(jax.jit, static_argnames=('size',))
def _window(scenes: jax.Array, offset: jax.Array, size: tuple[int, int]) -> jax.Array:
  """The windows of a batch at one offset."""
  offsets = jnp.broadcast_to(offset[None, :], (len(scenes), 2))
  return views.windows(scenes, offsets, size)
