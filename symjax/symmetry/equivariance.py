"""|f(T x) - T' f(x)|: how far any function is from equivariant.

Nothing here knows about networks: `apply` is any function of an array, and a
transformation is any function from arrays to arrays; `transformations` has some.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from symjax.errors import UserError
from symjax.symmetry.score import widen
from symjax.symmetry.transformations import Transformation, identity

Apply = Callable[[jax.Array], jax.Array]


def equivariance_error(
  apply: Apply,
  transform_in: Transformation,
  transform_out: Transformation,
  x: jax.Array,
  region: Transformation = identity,
) -> jax.Array:
  """[] relative error |f(T x) - T' f(x)| / |T' f(x)| of the whole batch.

  The norm is Euclidean, over all entries of all examples: an example counts by the
  energy of its output, so one whose output vanishes does no harm. 0 is exact
  equivariance, and about sqrt(2) what unrelated outputs have. By definition it is 0
  where both outputs are zero, infinite where only T' f(x) is, and NaN where an output
  is not finite. It is differentiable, with the gradient 0 where the error is 0, and so
  can be a regulariser.

  Args:
    apply: f, on [batch, ...] arrays.
    transform_in: T, such as `transformations.dihedral('r')`.
    transform_out: T', which acts on outputs as T does on inputs; `identity` asks for
      invariance.
    x: [batch, ...] inputs.
    region: what is compared of both outputs, such as `transformations.disc`, or
      `lambda y: y[:, 2:-2, 2:-2]` to leave out what the border reaches.

  Raises:
    UserError: the two sides differ in shape.
  """
  actual, expected = _sides(apply, transform_in, transform_out, x, region)
  return relative_norm(actual - expected, expected)


def equivariance_errors(
  apply: Apply,
  transform_in: Transformation,
  transform_out: Transformation,
  x: jax.Array,
  region: Transformation = identity,
) -> jax.Array:
  """[batch] relative errors |f(T x) - T' f(x)| / |T' f(x)| of the single examples.

  As `equivariance_error`, with the norms over the entries of one example.

  Raises:
    UserError: the two sides differ in shape.
  """
  actual, expected = _sides(apply, transform_in, transform_out, x, region)
  return _row_ratios(*(y.reshape(len(y), -1) for y in (actual - expected, expected)))


def relative_norm(difference: jax.Array, reference: jax.Array) -> jax.Array:
  """[] |difference| / |reference|, Euclidean norms over all entries.

  0 where both are zero, infinite where only the reference is.
  """
  rows = (widen(array).reshape(1, -1) for array in (difference, reference))
  return _row_ratios(*rows)[0]


def _sides(
  apply: Apply,
  transform_in: Transformation,
  transform_out: Transformation,
  x: jax.Array,
  region: Transformation,
) -> tuple[jax.Array, jax.Array]:
  actual = region(apply(transform_in(x)))
  expected = region(transform_out(apply(x)))
  if actual.shape != expected.shape:
    raise UserError(
      f"f(T x) has shape {actual.shape} and T' f(x) {expected.shape}; give a "
      f'transform_out that does to outputs what transform_in does to inputs'
    )
  return widen(actual), widen(expected)


def _row_ratios(difference: jax.Array, reference: jax.Array) -> jax.Array:
  """[n] |difference| / |reference| of [n, entries] arrays."""
  # In units of the largest entry: squares of 1e-30 or 1e30 leave float32.
  unit = jnp.maximum(jnp.abs(difference), jnp.abs(reference)).max(axis=1, keepdims=True)
  unit = jax.lax.stop_gradient(jnp.where(unit == 0, 1, unit))
  above, below = _row_norms(difference / unit), _row_norms(reference / unit)
  return above / jnp.where((above == 0) & (below == 0), 1, below)


def _row_norms(rows: jax.Array) -> jax.Array:
  # The root has no derivative at 0: keep 0 away from it on both sides of `where`.
  squares = jnp.square(rows).sum(axis=1)
  zero = squares == 0
  return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, squares)))
