"""A learning rate that the training cost drives, epoch by epoch."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from symjax.errors import UserError


class BoldDriverState(NamedTuple):
  """What a bold driver carries from epoch to epoch: arrays, fit for a checkpoint.

  Attributes:
    rate: [] learning rate of the coming epoch.
    reference: [] cost that the coming epoch is compared with; infinity at first.
    params: those at the end of the last good epoch; None without rollback.
  """

  rate: jax.Array
  reference: jax.Array
  params: Any


@dataclasses.dataclass(frozen=True)
class BoldDriver:
  """Raises the rate while the training cost falls, cuts it when the cost rises.

  An epoch is good if its cost is finite and not above the reference, which is the
  cost of the epoch before, or with rollback that of the last good epoch. The first
  good epoch sets the reference and leaves the rate. A cost of NaN or infinity is
  never a reference. Pure functions of arrays, fit for jit, vmap and scan.

  Attributes:
    up: factor of the rate after a good epoch.
    down: factor of the rate after any other.
    rollback: whether the parameters return to those of the last good epoch after
      one that is not.

  Raises:
    UserError: factors that do not satisfy 0 < down < 1 <= up.
  """

  up: float
  down: float
  rollback: bool

  def __post_init__(self) -> None:
    if not 0 < self.down < 1 <= self.up:
      raise UserError(
        f'a bold driver with up={self.up} and down={self.down} does not drive: '
        'choose 0 < down < 1 <= up'
      )

  def init(self, rate: ArrayLike, params: Any = None) -> BoldDriverState:
    """The state before the first epoch.

    Args:
      rate: [] learning rate of the first epoch.
      params: what training begins with. Any tree of arrays: with optimiser state and
        statistics in it, these roll back too. Not kept without rollback.
    """
    rate = jnp.asarray(rate, float)
    return BoldDriverState(
      rate, jnp.full_like(rate, jnp.inf), params if self.rollback else None
    )

  def update(
    self, state: BoldDriverState, cost: ArrayLike, params: Any
  ) -> tuple[BoldDriverState, Any]:
    """The state and the parameters with which the next epoch begins.

    Args:
      state: from `init` or the last `update`.
      cost: [] training cost of the epoch that ended.
      params: at its end; a tree like that given to `init`.
    """
    cost = jnp.asarray(cost).astype(state.reference.dtype)
    finite = jnp.isfinite(cost)
    good = finite & (cost <= state.reference)
    first = jnp.isinf(state.reference)
    rise = jnp.where(first, state.rate, self.up * state.rate)
    rate = jnp.where(good, rise, self.down * state.rate)
    renew = good if self.rollback else finite
    reference = jnp.where(renew, cost, state.reference)
    if not self.rollback:
      return BoldDriverState(rate, reference, None), params
    params = jax.tree.map(
      lambda new, old: jnp.where(good, new, old), params, state.params
    )
    return BoldDriverState(rate, reference, params), params


# The bold driver is folklore, named after Hinton's unpublished lecture notes; no one
# pair of factors is its own.
BOLD_DRIVERS = {
  # The protocol of arXiv:1511.01754, as its derivatives in MATLAB keep it.
  'matlab': BoldDriver(up=1.1, down=0.5, rollback=False),
  # The textbooks'.
  'classic': BoldDriver(up=1.05, down=0.5, rollback=True),
  # For Table 2 of arXiv:1511.01029, which states no factors.
  'table2': BoldDriver(up=1.05, down=0.5, rollback=False),
}


def make_bold_driver(name: str) -> BoldDriver:
  """One of `BOLD_DRIVERS` by name.

  Raises:
    UserError: an unknown name.
  """
  if name not in BOLD_DRIVERS:
    raise UserError(
      f'unknown bold driver {name!r}; choose from {", ".join(BOLD_DRIVERS)}'
    )
  return BOLD_DRIVERS[name]
