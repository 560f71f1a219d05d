"""One step of training on made-up images, to be timed."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax

from symjax.training import devices
from symjax.training.images import Augmentation, Normalization
from symjax.training.state import create_state
from symjax.training.step import make_train_step
from symjax.training.tasks import Classification

SHAPE, CLASSES = (32, 32, 3), 10  # Of CIFAR-10.


def training_step(
  model: Any,
  optimizer: optax.GradientTransformation,
  batch: int,
  prepare: Callable[[Any], Any] = lambda params: params,
) -> Callable[[], None]:
  """A function that trains a model for one step and waits until that is done.

  Args:
    model: a network for `CLASSES` classes.
    optimizer: of its parameters.
    batch: images [batch, *SHAPE].
    prepare: what the initial parameters go through.
  """
  normalization = Normalization((0.5,) * 3, (0.25,) * 3)
  mesh = devices.make_mesh(batch)
  step = devices.jit(
    make_train_step(model, optimizer, Classification(), normalization, Augmentation()),
    mesh,
    donate_state=True,
  )

  def create() -> Any:
    return create_state(model, optimizer, SHAPE, 0, prepare)

  state = jax.jit(create, out_shardings=devices.replicated(mesh))()
  rng = np.random.default_rng(0)
  examples = devices.place_batch(
    mesh,
    {
      'image': rng.integers(0, 256, (batch, *SHAPE), np.uint8),
      'label': rng.integers(0, CLASSES, batch, np.int32),
    },
  )

  def train() -> None:
    nonlocal state
    state, _ = step(state, examples)
    jax.block_until_ready(state)

  return train
