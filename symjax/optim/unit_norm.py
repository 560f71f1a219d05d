"""Optimisers for weights whose scale is a symmetry of the loss, as links of optax.

A filter that batch normalisation follows can be scaled by any positive number and
the loss stays (eps of the normalisation apart), but the steps of plain SGD change.
`unit_norm` resolves this by holding every filter on the unit sphere, `scaled_metric`
by a gradient that scales with the filter.

Sources: Badrinarayanan et al., "Understanding symmetries in deep networks",
arXiv:1511.01029 (UN), and its follow-up, arXiv:1511.01754 (SM).

In all of these `filter_axes` are the axes of one filter, for every parameter; by
default (0,) for kernels [in, out] and (0, 1, 2) for kernels [h, w, in, out]. Choose
parameters with `optax.partition` or `optax.masked`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from symjax.errors import UserError
from symjax.optim import oblique
from symjax.optim.filters import check_on_sphere, map_filters

FilterAxes = oblique.Axes | None


def unit_norm(
  base: optax.GradientTransformation, filter_axes: FilterAxes = None
) -> optax.GradientTransformationExtraArgs:
  """`base` on spheres: any optimiser, every filter held at norm 1.

  `base` sees Riemannian gradients; its step is projected to the tangent space at
  the current point, and retracted. Its buffers live in the ambient space, in the
  shapes that it gives them. With `optax.sgd(rate)` this is Eq. 2 and Table 1 of
  arXiv:1511.01029. It belongs at the end of a chain: what follows would take the
  parameters off the sphere. Weight decay is radial and so has no effect in it.

  Args:
    base: any optax optimiser.
    filter_axes: of every parameter.

  Raises:
    UserError: from `init`, a filter whose norm is not 1 (traced ones are not
      checked) or axes that do not fit; from `update`, no `params`.
  """
  return optax.chain(
    project_to_tangent(filter_axes),
    base,
    project_to_tangent(filter_axes),
    retract_update(filter_axes),
  )


def riemannian_sgd(
  learning_rate: optax.ScalarOrSchedule,
  momentum: float | None = None,
  filter_axes: FilterAxes = None,
) -> optax.GradientTransformationExtraArgs:
  """SGD on spheres, its momentum transported from point to point.

  Without momentum this is `unit_norm(optax.sgd(learning_rate))` in fewer passes over
  the weights: seven where plain SGD makes three. With momentum, the buffer is a
  tangent vector at the current point, where that of `unit_norm(optax.sgd(...))`
  stays in the ambient space.

  Args:
    learning_rate: a rate, or a rate over steps.
    momentum: decay of the buffer; None keeps no buffer.
    filter_axes: of every parameter.

  Raises:
    UserError: as `unit_norm`.
  """
  if momentum is None:
    direction = project_to_tangent(filter_axes)
  else:
    direction = tangent_trace(momentum, filter_axes)
  return optax.chain(
    direction,
    optax.scale_by_learning_rate(learning_rate),
    retract_update(filter_axes),
  )


def scaled_metric(filter_axes: FilterAxes = None) -> optax.GradientTransformation:
  """Multiplies each filter's gradient by the filter's squared norm.

  The SM update of arXiv:1511.01754 is `optax.chain(scaled_metric(), optax.sgd(rate))`.
  Where the loss does not depend on a filter's scale, it is equivariant: from
  scaled filters it takes the scaled trajectory. Filters need not be on the sphere.

  Args:
    filter_axes: of every parameter.

  Raises:
    UserError: from `update`, no `params`, or axes that do not fit.
  """

  def scale(w: jax.Array, gradient: jax.Array, axes: oblique.Axes) -> jax.Array:
    squares = jnp.expand_dims(oblique.inner(w, w, axes), axes)
    return (squares * gradient.astype(squares.dtype)).astype(gradient.dtype)

  return optax.stateless(_with_params(scale, filter_axes))


def project_to_tangent(filter_axes: FilterAxes = None) -> optax.GradientTransformation:
  """Link that takes the radial part from each filter's update.

  It makes Euclidean gradients Riemannian, and transports a buffer to the current
  point. Updates narrower than the parameters come out as wide as these.

  Args:
    filter_axes: of every parameter.

  Raises:
    UserError: from `update`, no `params`, or axes that do not fit.
  """
  return optax.stateless(_with_params(oblique.to_tangent, filter_axes))


def tangent_trace(
  decay: float, filter_axes: FilterAxes = None
) -> optax.GradientTransformation:
  """Link that adds up gradients like `optax.trace`, in the tangent space.

  The buffer m becomes P(decay m + gradient), where P projects at the current point:
  the transported momentum plus the Riemannian gradient. It has the shapes and
  dtypes of the parameters.

  Args:
    decay: of the buffer.
    filter_axes: of every parameter.

  Raises:
    UserError: from `update`, no `params`, or axes that do not fit.
  """

  def init(params: optax.Params) -> optax.TraceState:
    return optax.TraceState(jax.tree.map(jnp.zeros_like, params))

  def add(
    w: jax.Array, gradient: jax.Array, trace: jax.Array, axes: oblique.Axes
  ) -> jax.Array:
    total = gradient.astype(trace.dtype) + decay * trace
    return oblique.to_tangent(w, total, axes)

  def update(
    updates: optax.Updates, state: optax.TraceState, params: optax.Params | None = None
  ) -> tuple[optax.Updates, optax.TraceState]:
    trace = _with_params(add, filter_axes)(updates, params, state.trace)
    return trace, optax.TraceState(trace)

  return optax.GradientTransformation(init, update)


def retract_update(filter_axes: FilterAxes = None) -> optax.GradientTransformation:
  """Last link of a chain: turns a step u into retract(w, u) - w.

  `optax.apply_updates` then lands on the sphere.

  Args:
    filter_axes: of every parameter.

  Raises:
    UserError: as `unit_norm`.
  """

  def init(params: optax.Params) -> optax.EmptyState:
    check_on_sphere(params, filter_axes)
    return optax.EmptyState()

  def difference(w: jax.Array, step: jax.Array, axes: oblique.Axes) -> jax.Array:
    return oblique.retract(w, step, axes) - w

  def update(
    updates: optax.Updates, state: optax.EmptyState, params: optax.Params | None = None
  ) -> tuple[optax.Updates, optax.EmptyState]:
    return _with_params(difference, filter_axes)(updates, params), state

  return optax.GradientTransformation(init, update)


def _with_params(function: Any, filter_axes: FilterAxes) -> Any:
  """`function(w, update, ..., axes)` of arrays, as (updates, params, ...) of trees."""

  def on_trees(
    updates: optax.Updates, params: optax.Params | None, *others: Any
  ) -> optax.Updates:
    if params is None:
      raise UserError(
        'filters cannot be kept on the sphere without them: call '
        'update(gradients, state, params)'
      )
    return map_filters(function, filter_axes, params, updates, *others)

  return on_trees
