"""Every test image, batch by batch, on all devices."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from symjax import data
from symjax.data import Dataset
from symjax.experiments.subject import Subject
from symjax.progress import progress
from symjax.training import devices

Arrays = Any  # A tree of arrays [batch, ...].
Batch = Mapping[str, jax.Array]
See = Callable[[jax.Array], Any]  # Images as the network sees them -> its outputs.
Look = Callable[[See, Batch], Arrays]


def visit(
  subject: Subject, look: Look, scenes: Dataset | None = None
) -> Iterator[Arrays]:
  """What `look` makes of the test images, batch after batch in the order of the split.

  The images are split over all devices, in batches of the training's size. The network
  is compiled once, however often `look` calls it.

  Args:
    subject: whose network and test split.
    look: is given the network and a batch: `image`, `label`, `mask`, the images'
      `place` in the split and, with `scenes`, their `scene`.
    scenes: larger images of the same examples.

  Yields:
    Its arrays on the host, without what fills up a batch.

  Raises:
    UserError: the batch does not divide among the devices.
  """
  mesh = devices.make_mesh(subject.config['train']['batch_size'])
  variables = jax.device_put(subject.variables, devices.replicated(mesh))
  network = jax.jit(functools.partial(subject.setup.model.apply, train=False))
  see = functools.partial(network, variables)

  for batch in _batches(subject, scenes):
    found = jax.device_get(look(see, devices.place_batch(mesh, batch)))
    yield jax.tree.map(lambda leaf, real=batch['mask']: leaf[real], found)


def join(parts: list[Arrays]) -> Arrays:
  """The arrays of all batches, [images, ...] each."""
  return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


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
