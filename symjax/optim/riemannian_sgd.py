"""Stochastic gradient descent on spheres, in few passes over the weights."""

import functools

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from symjax.optim import oblique
from symjax.optim.filters import (
  FilterAxes,
  check_on_sphere,
  map_filters,
  require_params,
)
from symjax.optim.unit_norm import retract_update, tangent_trace


def riemannian_sgd(
  learning_rate: optax.ScalarOrSchedule,
  momentum: float | None = None,
  filter_axes: FilterAxes = None,
) -> optax.GradientTransformation:
  """SGD on spheres, its momentum transported from point to point.

  Without momentum this is Eq. 2 of arXiv:1511.01029 and the same as
  `unit_norm(optax.sgd(learning_rate))`, but leaner: the weights and their gradients
  are read once for three inner products (by XLA's CPU backend, once for each) and
  once for the step, five passes where plain SGD makes three, and no temporary of
  their size is made. With momentum, the buffer is tangent at the current point (see
  `tangent_trace`), where that of `unit_norm(optax.sgd(...))` stays in the ambient
  space.

  Args:
    learning_rate: a rate, or a rate over steps.
    momentum: decay of the buffer; None keeps no buffer.
    filter_axes: of every parameter, as in `unit_norm`.

  Raises:
    UserError: as `unit_norm`.
  """
  if momentum is None:
    return _descend(learning_rate, filter_axes)
  return optax.chain(
    tangent_trace(momentum, filter_axes),
    optax.scale_by_learning_rate(learning_rate),
    retract_update(filter_axes),
  )


def _descend(
  learning_rate: optax.ScalarOrSchedule, filter_axes: FilterAxes
) -> optax.GradientTransformation:
  """Projection, step and retraction in one link, which foresees the step's norm."""

  def init(params: optax.Params) -> optax.ScaleByScheduleState:
    check_on_sphere(params, filter_axes)
    return optax.ScaleByScheduleState(jnp.zeros([], jnp.int32))

  def update(
    gradients: optax.Updates,
    state: optax.ScaleByScheduleState,
    params: optax.Params | None = None,
  ) -> tuple[optax.Updates, optax.ScaleByScheduleState]:
    params = require_params(params)
    rate = learning_rate(state.count) if callable(learning_rate) else learning_rate
    foresee, measure, land = (
      functools.partial(function, rate)
      for function in (_foreseen_norm, _measured_norm, _landing)
    )
    norms = map_filters(foresee, filter_axes, params, gradients)
    unknown = jax.tree.map(lambda norm: jnp.isnan(norm).any(), norms)
    # One branch for the whole tree: a GPU waits at each.
    norms = jax.lax.cond(
      jax.tree.reduce(jnp.logical_or, unknown, jnp.array(False)),
      lambda: map_filters(measure, filter_axes, params, gradients),
      lambda: norms,
    )
    updates = map_filters(land, filter_axes, params, gradients, norms)
    return updates, optax.ScaleByScheduleState(optax.safe_increment(state.count))

  return optax.GradientTransformation(init, update)


def _foreseen_norm(
  rate: ArrayLike, w: jax.Array, gradient: jax.Array, axes: tuple[int, ...]
) -> jax.Array:
  """Norms after a tangent step, from inner products that one pass yields.

  Pythagoras: |w|^2 + rate^2 (|g|^2 - <w, g>^2 / |w|^2). NaN where the difference
  cancels too many digits: in a step that is long and nearly radial.
  """
  wide_w, wide_g = oblique.widen(w, gradient)
  ww, wg, gg = (
    jnp.sum(product, axes, keepdims=True)
    for product in (wide_w * wide_w, wide_w * wide_g, wide_g * wide_g)
  )
  square_rate = jnp.square(jnp.asarray(rate, ww.dtype))
  radial = square_rate * jnp.square(wg) / ww
  squares = ww + (square_rate * gg - radial)
  return jnp.sqrt(jnp.where(radial > 4 * squares, jnp.nan, squares))


def _measured_norm(
  rate: ArrayLike, w: jax.Array, gradient: jax.Array, axes: tuple[int, ...]
) -> jax.Array:
  """Norms after a tangent step, from the step itself: another pass."""
  step = _straight_step(rate, w, gradient, axes)
  return jnp.sqrt(jnp.sum(jnp.square(step), axes, keepdims=True))


def _landing(
  rate: ArrayLike,
  w: jax.Array,
  gradient: jax.Array,
  norm: jax.Array,
  axes: tuple[int, ...],
) -> jax.Array:
  """The update that lands on the sphere, given the norms after the step."""
  step = _straight_step(rate, w, gradient, axes)
  return (step / norm).astype(w.dtype) - w


def _straight_step(
  rate: ArrayLike, w: jax.Array, gradient: jax.Array, axes: tuple[int, ...]
) -> jax.Array:
  """The step before retraction, w - rate P(g), in float32 at least."""
  wide_w, wide_g = oblique.widen(w, gradient)
  rate = jnp.asarray(rate, wide_w.dtype)
  return wide_w - rate * oblique.to_tangent(wide_w, wide_g, axes)
