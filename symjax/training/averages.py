"""Exponential moving averages of what a training changes."""

from typing import Any

import jax
import jax.numpy as jnp

from symjax.errors import UserError


def require_decay(decay: float) -> None:
  """Checks the decay of an average; 0 is none.

  Raises:
    UserError: it is not in [0, 1).
  """
  if not 0 <= decay < 1:
    raise UserError(
      f'train.ema_decay={decay} is not in [0, 1); 0 is none, and 0.9999 averages over '
      'some 10,000 steps'
    )


def update_averages(averages: Any, values: Any, decay: float, step: jax.Array) -> Any:
  """The averages after a step, decay * average + (1 - decay) * value.

  While there have been few steps the decay is less, (1 + step) / (10 + step), so that
  the average forgets the initial weights: as TensorFlow's ExponentialMovingAverage has
  it, with which EfficientNet was trained (arXiv:1905.11946).

  Args:
    averages: a tree of floats.
    values: likewise, after the step.
    decay: in [0, 1).
    step: the step's number, from 1; integer [].
  """
  done = step.astype(jnp.float32)
  share = 1 - jnp.minimum(jnp.float32(decay), (1 + done) / (10 + done))

  def update(average: jax.Array, value: jax.Array) -> jax.Array:
    return average + share.astype(average.dtype) * (value - average)

  return jax.tree.map(update, averages, values)
