"""The oblique manifold: a product of unit spheres, one per filter.

A filter is the slice of an array over `axes`: (0, 1, 2) for a convolution kernel
[h, w, in, out], (0,) for a dense kernel [in, out]. Every function treats all filters
of an array at once. Points are filters of norm 1, tangent vectors at a point are
orthogonal to it, filter by filter. Norms are taken in float32 at least.

Source: Badrinarayanan et al., "Understanding symmetries in deep networks", section
3; Absil et al., "Optimization Algorithms on Matrix Manifolds", chapters 3 and 4.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from symjax.errors import UserError
from symjax.optim.filter_sums import filter_sums

Axes = int | Sequence[int]


def normalize(w: ArrayLike, axes: Axes) -> jax.Array:
  """The point [...] whose filters point where those of `w` [...] do.

  Of any finite scale. A zero filter has no direction and becomes NaN.

  Raises:
    UserError: `axes` name no filter of `w`.
  """
  w = jnp.asarray(w)
  axes = canonical_axes(w, axes)
  (wide,) = widen(w)
  # Squares of 1e-30 or 1e30 leave float32; powers of two leave the digits alone.
  _, exponent = jnp.frexp(jnp.abs(wide).max(axes, keepdims=True))
  return _over_length(jnp.ldexp(wide, -exponent), axes).astype(w.dtype)


def to_tangent(w: ArrayLike, z: ArrayLike, axes: Axes) -> jax.Array:
  """[...] orthogonal projection of `z` [...] to the tangent space at `w` [...].

  z - <w, z> w for each filter: Pi of Table 1, which is printed with misplaced
  parentheses. Divided by <w, w>, so that it is orthogonal also to a filter that
  rounding to bfloat16 took off the sphere.

  Returns:
    of the dtype of `w` and `z`; where these differ, the wider of them and float32.

  Raises:
    UserError: `axes` name no filter of `w`.
  """
  w, z = jnp.asarray(w), jnp.asarray(z)
  axes = canonical_axes(w, axes)
  wide_w, wide_z = widen(w, z)
  wz, ww = filter_sums(axes, wide_w * wide_z, wide_w * wide_w)
  tangent = wide_z - wz / ww * wide_w
  return tangent.astype(w.dtype) if w.dtype == z.dtype else tangent


def retract(w: ArrayLike, u: ArrayLike, axes: Axes) -> jax.Array:
  """The point [...] reached from `w` [...] by the step `u` [...]: (w + u) / |w + u|.

  Eq. 2; agrees with `exponential` up to third order of a tangent step. The norm is
  that of the sum, and not derived from |u|, so that errors do not add up over steps.
  A step whose square overflows gives NaN.

  Raises:
    UserError: `axes` name no filter of `w`.
  """
  w, u = jnp.asarray(w), jnp.asarray(u)
  axes = canonical_axes(w, axes)
  wide_w, wide_u = widen(w, u)
  return _over_length(wide_w + wide_u, axes).astype(w.dtype)


def exponential(w: ArrayLike, u: ArrayLike, axes: Axes) -> jax.Array:
  """The point [...] at the end of the geodesic from `w` [...] with velocity `u` [...].

  cos|u| w + sin|u| u / |u| for each filter, of length |u|. Its gradient is finite
  everywhere, at u = 0 too.

  Args:
    w: the point.
    u: a tangent vector at `w`.
    axes: of a filter.

  Raises:
    UserError: `axes` name no filter of `w`.
  """
  w, u = jnp.asarray(w), jnp.asarray(u)
  axes = canonical_axes(w, axes)
  wide_w, wide_u = widen(w, u)
  angle = _length(wide_u, axes)
  point = jnp.cos(angle) * wide_w + jnp.sinc(angle / jnp.pi) * wide_u
  return point.astype(w.dtype)


def transport(w: ArrayLike, to: ArrayLike, z: ArrayLike, axes: Axes) -> jax.Array:
  """[...] tangent vector at `to` [...] that stands for `z` [...], tangent at `w` [...].

  The projection of `z` at the new point, which does not depend on the old one.

  Raises:
    UserError: `axes` name no filter of `to`.
  """
  del w
  return to_tangent(to, z, axes)


def inner(u: ArrayLike, v: ArrayLike, axes: Axes) -> jax.Array:
  """Inner products of the filters of `u` [...] and `v` [...].

  Returns:
    the shape of `u` without `axes`, in float32 at least.

  Raises:
    UserError: `axes` name no filter of `u`.
  """
  u, v = jnp.asarray(u), jnp.asarray(v)
  axes = canonical_axes(u, axes)
  wide_u, wide_v = widen(u, v)
  return _inner(wide_u, wide_v, axes).squeeze(axes)


def distance(w: ArrayLike, v: ArrayLike, axes: Axes) -> jax.Array:
  """Great-circle distances of the filters of the points `w` [...] and `v` [...].

  2 atan2(|w - v|, |w + v|), which unlike the arc cosine keeps its digits for nearly
  equal and nearly opposite filters. Its gradient is 0 at either end.

  Returns:
    angles in [0, pi]; the shape of `w` without `axes`, in float32 at least.

  Raises:
    UserError: `axes` name no filter of `w`.
  """
  w, v = jnp.asarray(w), jnp.asarray(v)
  axes = canonical_axes(w, axes)
  wide_w, wide_v = widen(w, v)
  between, across = _length(wide_w - wide_v, axes), _length(wide_w + wide_v, axes)
  return (2 * jnp.arctan2(between, across)).squeeze(axes)


def canonical_axes(w: jax.Array, axes: Axes) -> tuple[int, ...]:
  """`axes` counted from 0, if they name filters of `w` [...].

  Raises:
    UserError: an axis outside of the rank or named twice, no axis, filters without
      numbers, or numbers that are not floating.
  """
  given = (axes,) if isinstance(axes, int) else tuple(axes)
  inside = all(-w.ndim <= axis < w.ndim for axis in given)
  if not given or not inside or len({axis % w.ndim for axis in given}) < len(given):
    raise UserError(
      f'filter axes {given} do not fit an array of rank {w.ndim}: name each axis of '
      'a filter once, such as (0, 1, 2) for [h, w, in, out]'
    )
  canonical = tuple(axis % w.ndim for axis in given)
  if any(w.shape[axis] == 0 for axis in canonical):
    raise UserError(
      f'an array of shape {w.shape} has empty filters over axes {given}: a filter '
      'needs at least one number'
    )
  if not jnp.issubdtype(w.dtype, jnp.floating):
    raise UserError(f'filters must be floating numbers, not {w.dtype}')
  return canonical


def widen(*arrays: jax.Array) -> list[jax.Array]:
  """All in float64 if one of them is, else in float32."""
  double = any(array.dtype == jnp.float64 for array in arrays)
  wide = jnp.float64 if double else jnp.float32
  return [array.astype(wide) for array in arrays]


def _inner(u: jax.Array, v: jax.Array, axes: tuple[int, ...]) -> jax.Array:
  """Inner products of filters, over axes of size 1."""
  return jnp.sum(u * v, axes, keepdims=True)


def _length(u: jax.Array, axes: tuple[int, ...]) -> jax.Array:
  """Norms of filters, over axes of size 1, with the gradient 0 at zero filters."""
  squares = _inner(u, u, axes)
  # The root has no derivative at 0: keep 0 away from it on both sides of `where`.
  zero = squares == 0
  return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, squares)))


def _over_length(w: jax.Array, axes: tuple[int, ...]) -> jax.Array:
  """Filters divided by their norms; NaN where the norm is 0 or overflows."""
  length = jnp.sqrt(_inner(w, w, axes))
  # Divided by infinity a filter would be 0, in silence.
  return w / jnp.where(jnp.isinf(length), jnp.nan, length)
