"""The last link of an optimiser on spheres, in few passes over the weights."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from symjax.optim import oblique
from symjax.optim.filter_sums import filter_sums
from symjax.optim.filters import (
  FilterAxes,
  check_on_sphere,
  map_filters,
  require_params,
)

_SAMPLE = 64  # Numbers of a filter, at least, that tell a step's radial part roughly.


def land_update(filter_axes: FilterAxes = None) -> optax.GradientTransformation:
  """Last link of a chain: turns a step u into `land(w, u)` - w.

  `project_to_tangent` and `retract_update` in one; `optax.apply_updates` then lands
  on the sphere.

  Args:
    filter_axes: of every parameter.

  Raises:
    UserError: as `unit_norm`.
  """
  return last_link(land, filter_axes)


def last_link(
  reach: Callable[[jax.Array, jax.Array, oblique.Axes], jax.Array],
  filter_axes: FilterAxes,
) -> optax.GradientTransformation:
  """Last link of a chain: turns a step u into `reach(w, u, axes)` - w.

  Args:
    reach: the point on the sphere that a step leads to.
    filter_axes: of every parameter.

  Raises:
    UserError: as `unit_norm`.
  """

  def init(params: optax.Params) -> optax.EmptyState:
    check_on_sphere(params, filter_axes)
    return optax.EmptyState()

  def difference(w: jax.Array, step: jax.Array, axes: oblique.Axes) -> jax.Array:
    return reach(w, step, axes) - w

  def update(
    updates: optax.Updates, state: optax.EmptyState, params: optax.Params | None = None
  ) -> tuple[optax.Updates, optax.EmptyState]:
    updates = map_filters(difference, filter_axes, require_params(params), updates)
    return updates, state

  return optax.GradientTransformation(init, update)


def land(w: ArrayLike, u: ArrayLike, axes: oblique.Axes) -> jax.Array:
  """The point [...] reached from `w` [...] by the tangent part of the step `u` [...].

  retract(w, to_tangent(w, u)), which reads its arguments three times, in two: once
  for the inner products that foresee the norm after the step, and once to land. The
  norm follows from |w| by Pythagoras, and |w| is measured anew, so that errors do
  not add up over steps.

  Raises:
    UserError: `axes` name no filter of `w`.
  """
  w, u = jnp.asarray(w), jnp.asarray(u)
  axes = oblique.canonical_axes(w, axes)
  wide_w, wide_u = oblique.widen(w, u)
  # |P(u)|^2 = |u|^2 - <w, u>^2 / |w|^2 would cancel the digits of a step that is long
  # and nearly radial, so most of the radial part has to go before.
  guess = _guess_along(wide_w, wide_u, axes)
  u = wide_u - guess * wide_w
  ww, wu, uu = filter_sums(axes, wide_w * wide_w, wide_w * u, u * u)
  along = wu / ww
  squares = ww + jnp.maximum(uu - along * wu, 0)
  # Divided by infinity a filter would be 0, in silence.
  norm = jnp.sqrt(jnp.where(jnp.isinf(squares), jnp.nan, squares))
  # Behind the barrier `u` is computed again, where XLA would store and load it.
  u = wide_u - jax.lax.optimization_barrier(guess) * wide_w
  return ((wide_w + (u - along * wide_w)) / norm).astype(w.dtype)


def _guess_along(w: jax.Array, u: jax.Array, axes: tuple[int, ...]) -> jax.Array:
  """<w, u> / |w|^2 from a few numbers of each filter, over axes of size 1.

  Exact if `u` is radial, else about as far off as the tangent part of `u` is long.
  """
  last = axes[-1]
  stride = max(1, math.prod(w.shape[axis] for axis in axes) // _SAMPLE)
  few_w, few_u = (
    jax.lax.slice_in_dim(array, 0, array.shape[last], stride, last) for array in (w, u)
  )
  ww, wu = filter_sums(axes, few_w * few_w, few_w * few_u)
  # Numbers that are nearly 0 tell nothing, and would guess wildly.
  return wu / jnp.maximum(ww, 0.1 * few_w.shape[last] / w.shape[last])
