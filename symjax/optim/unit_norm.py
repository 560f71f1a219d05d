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

import jax
import jax.numpy as jnp
import optax

from symjax.optim import oblique
from symjax.optim.filters import FilterAxes, map_filters, require_params
from symjax.optim.landing import land_update, last_link


def unit_norm(
  base: optax.GradientTransformation, filter_axes: FilterAxes = None
) -> optax.GradientTransformationExtraArgs:
  """`base` on spheres: any optimiser, every filter held at norm 1.

  `base` sees Riemannian gradients; its step is projected to the tangent space at
  the current point, and retracted. Its buffers live in the ambient space, in the
  shapes that it gives them. With `optax.sgd(rate)` this is Eq. 2 and Table 1 of
  arXiv:1511.01029, which `riemannian_sgd(rate)` computes faster. It belongs at the end
  of a chain: what follows would take the parameters off the sphere. Decoupled weight
  decay in `base` is radial, and so without effect.

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
    land_update(filter_axes),
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

  def update(updates: optax.Updates, params: optax.Params | None) -> optax.Updates:
    return map_filters(scale, filter_axes, require_params(params), updates)

  return optax.stateless(update)


def project_to_tangent(filter_axes: FilterAxes = None) -> optax.GradientTransformation:
  """Link that takes the radial part from each filter's update.

  It makes Euclidean gradients Riemannian, and transports a buffer to the current
  point. Updates narrower than the parameters come out as wide as these.

  Args:
    filter_axes: of every parameter.

  Raises:
    UserError: from `update`, no `params`, or axes that do not fit.
  """

  def update(updates: optax.Updates, params: optax.Params | None) -> optax.Updates:
    return map_filters(oblique.to_tangent, filter_axes, require_params(params), updates)

  return optax.stateless(update)


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
    total = gradient.astype(trace.dtype) + jnp.asarray(decay, trace.dtype) * trace
    return oblique.to_tangent(w, total, axes)

  def update(
    updates: optax.Updates, state: optax.TraceState, params: optax.Params | None = None
  ) -> tuple[optax.Updates, optax.TraceState]:
    params = require_params(params)
    trace = map_filters(add, filter_axes, params, updates, state.trace)
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
  return last_link(oblique.retract, filter_axes)
