"""The two steps of training, compiled over devices that need not exist."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from symjax import data
from symjax.errors import UserError
from symjax.experiments.setup import Setup
from symjax.training import devices
from symjax.training.state import TrainState


@dataclasses.dataclass(frozen=True)
class Steps:
  """The steps of a config over a mesh, for any batch.

  Attributes:
    setup: of the config.
    mesh: from `devices.make_mesh`.
    state: the shapes of the state.
    example: an evaluation batch of one image.
  """

  setup: Setup
  mesh: Mesh
  state: TrainState
  example: Mapping[str, np.ndarray]

  @property
  def normalized(self) -> frozenset[str]:
    """Paths of the modules with batch statistics, such as `layer1_0/bn1`."""
    leaves = jax.tree.leaves_with_path(self.state.batch_stats)
    return frozenset(_joined(path[:-1]) for path, _ in leaves)

  @property
  def parameters(self) -> int:
    """How many numbers are trained."""
    return sum(leaf.size for leaf in jax.tree.leaves(self.state.params))

  @property
  def normalization_parameters(self) -> int:
    """How many of them are of modules with batch statistics."""
    normalized = self.normalized
    leaves = jax.tree.leaves_with_path(self.state.params)
    return sum(leaf.size for path, leaf in leaves if _joined(path[:-1]) in normalized)

  def compile_train(self, batch_size: int) -> jax.stages.Compiled | None:
    """The training step, or None if it does not fit into the memory of a device.

    Raises:
      UserError: the compiler refuses it for another reason.
    """
    example = {name: array for name, array in self.example.items() if name != 'mask'}
    return self._compile(self.setup.train_step, example, batch_size, donate_state=True)

  def compile_eval(self, batch_size: int) -> jax.stages.Compiled | None:
    """The evaluation step, or None if it does not fit."""
    return self._compile(
      self.setup.eval_step, self.example, batch_size, donate_state=False
    )

  def _compile(
    self,
    step: Callable[..., Any],
    example: Mapping[str, np.ndarray],
    batch_size: int,
    donate_state: bool,
  ) -> jax.stages.Compiled | None:
    batch = {
      name: jax.ShapeDtypeStruct((batch_size, *array.shape[1:]), array.dtype)
      for name, array in example.items()
    }
    jitted: Any = devices.jit(step, self.mesh, donate_state)
    lowered = jitted.lower(self.state, batch)
    try:
      return lowered.compile()
    except jax.errors.JaxRuntimeError as error:
      reason = ' '.join(str(error).split())
      if 'RESOURCE_EXHAUSTED' in reason and 'hbm' in reason.lower():
        return None
      raise UserError(f'the compiler refuses this step: {reason}') from error


def make_steps(setup: Setup, mesh: Mesh, blank: data.Dataset) -> Steps:
  """The steps of a setup, for batches as the data set gives them.

  Args:
    setup: of a config.
    mesh: over which the batch is split.
    blank: stands in for the training split.
  """
  state = jax.eval_shape(setup.create_state)
  return Steps(setup, mesh, state, next(data.evaluation_batches(blank, 1)))


def _joined(path: tuple[Any, ...]) -> str:
  return '/'.join(key.key for key in path)
