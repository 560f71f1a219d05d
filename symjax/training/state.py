"""Everything that a training run changes, as one pytree."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import struct


class TrainState(struct.PyTreeNode):
  """The state between two steps.

  Attributes:
    step: updates done, int32 [].
    params: the model's parameters.
    batch_stats: BatchNorm's running statistics; empty for models without.
    opt_state: the optimiser's.
    seed: of all that training draws, uint32 []. It is here, and no constant of the
      step, so that runs that differ only in it share a compiled program.
    averages: moving averages of `params` and `batch_stats`, by these names; empty if
      none are kept. Statistics are averaged with the weights they are of, as in the
      code of EfficientNet and in torchvision's: those of the last steps are of other
      weights. Filters on spheres have averages inside of these, where they stay:
      BatchNorm undoes their norm, and its mean, which is linear in them, is averaged
      alike.
  """

  step: jax.Array
  params: Any
  batch_stats: Any
  opt_state: optax.OptState
  seed: jax.Array
  averages: Any = struct.field(default_factory=dict)

  @property
  def variables(self) -> dict[str, Any]:
    """What `model.apply` takes outside of training: averaged, where there are such."""
    return self.averages or self.trained

  @property
  def trained(self) -> dict[str, Any]:
    """What `model.apply` takes in training."""
    return {'params': self.params, 'batch_stats': self.batch_stats}

  def with_batch_stats(self, batch_stats: Any) -> 'TrainState':
    """The state with other statistics in its `variables`."""
    if self.averages:
      return self.replace(averages={**self.averages, 'batch_stats': batch_stats})
    return self.replace(batch_stats=batch_stats)


def create_state(
  model: nn.Module,
  optimizer: optax.GradientTransformation,
  image_shape: tuple[int, int, int],
  seed: int,
  prepare: Callable[[Any], Any] = lambda params: params,
  averaged: bool = False,
) -> TrainState:
  """The state before the first step, a pure function of the seed.

  Args:
    model: called on [batch, height, width, channels] with `train`.
    optimizer: of all its parameters.
    image_shape: [height, width, channels].
    seed: of the initial parameters, and of all that training draws; 0 ... 2**32 - 1.
    prepare: what the optimiser needs done to them first; by default nothing.
    averaged: whether it has averages.
  """
  images = jnp.zeros((1, *image_shape))
  variables = model.init(jax.random.key(seed), images, train=False)
  return start_state(optimizer, variables, seed, prepare, averaged)


def start_state(
  optimizer: optax.GradientTransformation,
  variables: Mapping[str, Any],
  seed: int,
  prepare: Callable[[Any], Any] = lambda params: params,
  averaged: bool = False,
) -> TrainState:
  """The state before the first step, from given variables.

  Args:
    optimizer: of all the parameters.
    variables: of the model, `params` and perhaps `batch_stats`.
    seed: of all that training draws; 0 ... 2**32 - 1.
    prepare: what the optimiser needs done to the parameters first.
    averaged: whether it has averages, which begin as the variables.
  """
  params = prepare(variables['params'])
  state = TrainState(
    step=jnp.zeros((), jnp.int32),
    params=params,
    batch_stats=variables.get('batch_stats', {}),
    opt_state=optimizer.init(params),
    seed=jnp.asarray(seed, jnp.uint32),
  )
  if not averaged:
    return state
  # Copies, because a step is given the memory of both.
  return state.replace(averages=jax.tree.map(jnp.copy, state.trained))
