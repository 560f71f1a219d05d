"""The filters of a parameter tree: putting them on the sphere, and watching them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from symjax.errors import UserError
from symjax.optim import oblique

FilterAxes = oblique.Axes | None
Mask = Any  # A tree of booleans, or a prefix of one, or a function to one.

# As optax's `unitwise_norm`: kernels [in, out] and [h, w, in, out].
AXES_BY_RANK = {2: (0,), 4: (0, 1, 2)}


def map_filters(
  function: Callable[..., Any],
  filter_axes: FilterAxes,
  params: optax.Params,
  *others: Any,
) -> Any:
  """A tree of `function(leaf, *others, axes)` over the leaves of `params`.

  Args:
    function: of a parameter, the leaves of `others` in its place, and filter axes.
    filter_axes: of every parameter; None stands for `AXES_BY_RANK`.
    params: a tree of arrays.
    *others: trees of the structure of `params`.

  Raises:
    UserError: with the path of a parameter that the axes do not fit.
  """

  def at(path: tuple[Any, ...], leaf: jax.Array, *rest: jax.Array) -> Any:
    axes = AXES_BY_RANK.get(jnp.ndim(leaf)) if filter_axes is None else filter_axes
    try:
      if axes is None:
        raise UserError(
          f'no filters are known for rank {jnp.ndim(leaf)}: give filter_axes, or '
          'leave the parameter out by a mask or partition'
        )
      return function(leaf, *rest, oblique.canonical_axes(leaf, axes))
    except UserError as error:
      name = jax.tree_util.keystr(path, simple=True, separator='/')
      raise UserError(f'{name or "parameter"}: {error}') from None

  return jax.tree_util.tree_map_with_path(at, params, *others)


def require_params(params: optax.Params | None) -> optax.Params:
  """`params`, which an optimiser may leave out and these may not.

  Raises:
    UserError: there are none.
  """
  if params is None:
    raise UserError(
      'update was called without the parameters that it is to move: call '
      'update(gradients, state, params)'
    )
  return params


def normalize_filters(
  params: optax.Params,
  filter_axes: FilterAxes = None,
  mask: Mask | None = None,
) -> optax.Params:
  """`params` with every filter divided by its norm.

  Args:
    params: a tree of arrays.
    filter_axes: of every parameter; by default (0,) for rank 2 and (0, 1, 2) for
      rank 4, which are Flax's dense and convolution kernels.
    mask: which parameters have filters, as in `optax.masked`: a tree of booleans, or
      a function from `params` to one. The others are returned as they are. By
      default all have.

  Raises:
    UserError: a filter that is zero or not finite, if not traced; axes that do not
      fit a parameter.
  """

  def on_sphere(leaf: jax.Array, axes: oblique.Axes) -> jax.Array:
    point = oblique.normalize(leaf, axes)
    filter_, norm = farthest_filter(point, axes)
    if np.isnan(norm):
      raise UserError(
        f'filter {filter_} is zero or not finite and has no direction: initialise '
        'it, or leave the parameter out by the mask'
      )
    return point

  chosen = _select(params, mask)
  normal = map_filters(on_sphere, filter_axes, chosen)
  return jax.tree.map(
    lambda new, old: old if new is None else new,
    normal,
    params,
    is_leaf=lambda leaf: leaf is None,
  )


def largest_departure(
  params: optax.Params,
  filter_axes: FilterAxes = None,
  mask: Mask | None = None,
) -> jax.Array:
  """[] largest | |w| - 1 | over the filters of `params`; NaN if one is NaN.

  About 1e-7 for float32 parameters that an optimiser keeps on the sphere, 4e-3 at
  most for bfloat16. Fit to be called under jit, to report filters that leave it.

  Args:
    params: a tree of arrays.
    filter_axes: as in `normalize_filters`.
    mask: as in `normalize_filters`.

  Raises:
    UserError: axes that do not fit a parameter, or no parameter to measure.
  """

  def departure(leaf: jax.Array, axes: oblique.Axes) -> jax.Array:
    return jnp.abs(_norms(leaf, axes) - 1).max(initial=0).astype(jnp.float32)

  departures = map_filters(departure, filter_axes, _select(params, mask))
  if not jax.tree.leaves(departures):
    raise UserError('no parameter has filters to measure: the mask leaves all out')
  return jnp.stack(jax.tree.leaves(departures)).max()


def check_on_sphere(
  params: optax.Params,
  filter_axes: FilterAxes = None,
  mask: Mask | None = None,
  remedy: str = 'begin with normalize_filters(params)',
) -> None:
  """Refuses parameters with a filter whose norm is not 1.

  To 1e-3 and the rounding of the parameter's dtype. Traced parameters have no
  values to check, only shapes.

  Args:
    params: a tree of arrays.
    filter_axes: as in `normalize_filters`.
    mask: as in `normalize_filters`.
    remedy: what the error advises.

  Raises:
    UserError: a filter that is not on the sphere; axes that do not fit a parameter.
  """

  def check(leaf: jax.Array, axes: oblique.Axes) -> None:
    filter_, norm = farthest_filter(leaf, axes)
    if not abs(norm - 1) <= 1e-3 + float(jnp.finfo(leaf.dtype).eps):
      raise UserError(f'filter {filter_} has norm {norm:.4g}, not 1: {remedy}')

  map_filters(check, filter_axes, _select(params, mask))


def farthest_filter(leaf: jax.Array, axes: oblique.Axes) -> tuple[Any, float]:
  """The index and the norm of the filter that is farthest from the sphere.

  NaN is farthest of all. A traced leaf, or one that this process cannot read whole,
  counts as on the sphere.
  """
  if isinstance(leaf, jax.core.Tracer) or not getattr(
    leaf, 'is_fully_addressable', True
  ):
    return 0, 1.0
  # Concrete parameters can also be met while something else is traced.
  with jax.ensure_compile_time_eval():
    norms = np.asarray(_norms(leaf, axes))
  if not norms.size:
    return 0, 1.0
  index = np.unravel_index(np.argmax(np.abs(norms - 1)), norms.shape)
  name = tuple(int(i) for i in index)
  return (name[0] if len(name) == 1 else name), float(norms[index])


def _norms(leaf: jax.Array, axes: oblique.Axes) -> jax.Array:
  return jnp.sqrt(oblique.inner(leaf, leaf, axes))


def _select(params: optax.Params, mask: Mask | None) -> optax.Params:
  """`params` with None in the place of what the mask leaves out."""
  if mask is None:
    return params
  chosen = mask(params) if callable(mask) else mask
  return jax.tree.map(
    lambda keep, leaf: leaf if keep else None,
    jax.tree.broadcast(chosen, params),
    params,
  )
