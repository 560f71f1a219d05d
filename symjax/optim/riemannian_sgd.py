"""Stochastic gradient descent on spheres, in few passes over the weights."""

import jax
import optax

from symjax.optim import oblique
from symjax.optim.filters import FilterAxes, require_params
from symjax.optim.landing import land_update
from symjax.optim.unit_norm import tangent_trace


def riemannian_sgd(
  learning_rate: optax.ScalarOrSchedule,
  momentum: float | None = None,
  filter_axes: FilterAxes = None,
) -> optax.GradientTransformation:
  """SGD on spheres, its momentum transported from point to point.

  Without momentum this is Eq. 2 of arXiv:1511.01029 and the same as
  `unit_norm(optax.sgd(learning_rate))`, but leaner: the weights and their gradients
  are read twice and the weights written, five passes where plain SGD makes three, and
  no temporary of their size is made. With momentum, the buffer is tangent at the
  current point (see `tangent_trace`), where that of `unit_norm(optax.sgd(...))` stays
  in the ambient space.

  Args:
    learning_rate: a rate, or a rate over steps.
    momentum: decay of the buffer; None keeps no buffer.
    filter_axes: of every parameter, as in `unit_norm`.

  Raises:
    UserError: as `unit_norm`.
  """
  return optax.chain(
    _widen_updates() if momentum is None else tangent_trace(momentum, filter_axes),
    optax.scale_by_learning_rate(learning_rate),
    land_update(filter_axes),
  )


def _widen_updates() -> optax.GradientTransformation:
  """Link that lets a rate multiply narrow gradients in float32 at least."""

  def update(updates: optax.Updates, params: optax.Params | None) -> optax.Updates:
    return jax.tree.map(
      lambda w, gradient: oblique.widen(w, gradient)[1], require_params(params), updates
    )

  return optax.stateless(update)
