"""A batch worked on a few images at a time, so that what is in between stays in cache.

Chunk i of n holds images i, n + i, 2n + i, ...: where a batch is spread over devices in
contiguous blocks, each device then works on its own images only.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax


def count_chunks(batch: int, bytes_per_image: float, limit: float) -> int:
  """The fewest equal chunks of a batch that stay below `limit` bytes, if any do."""
  wanted = max(1.0, batch * bytes_per_image / limit)
  return next(
    n for n in range(1, batch + 1) if batch % n == 0 and (n >= wanted or n == batch)
  )


def map_chunks(
  function: Callable[[jax.Array], jax.Array], x: jax.Array, chunks: int
) -> jax.Array:
  """`function` of a batch of which it treats every image for itself.

  Args:
    function: [n, ...] -> [n, ...].
    x: [batch, ...].
    chunks: a divisor of the batch.

  Returns:
    [batch, ...].
  """
  if chunks == 1:
    # What computes x must not be repeated for each of the many reads of it.
    return function(lax.optimization_barrier(x))
  parts = _split(x, chunks)

  def body(_: None, index: jax.Array) -> tuple[None, jax.Array]:
    return None, function(_take(parts, index))

  _, ys = lax.scan(body, None, jnp.arange(chunks))
  return jnp.moveaxis(ys, 0, 1).reshape(-1, *ys.shape[2:])


def sum_chunks(
  function: Callable[[jax.Array, jax.Array], jax.Array],
  x: jax.Array,
  y: jax.Array,
  chunks: int,
) -> jax.Array:
  """The sum over a batch of a function that sums over the images that it is given.

  Args:
    function: [n, ...] and [n, ...] -> [...].
    x: [batch, ...].
    y: [batch, ...].
    chunks: a divisor of the batch.
  """
  if chunks == 1:
    return function(*lax.optimization_barrier((x, y)))
  parts = _split(x, chunks), _split(y, chunks)

  def body(total: jax.Array, index: jax.Array) -> tuple[jax.Array, None]:
    return total + function(*(_take(part, index) for part in parts)), None

  like = jax.eval_shape(lambda a, b: function(_take(a, 0), _take(b, 0)), *parts)
  total, _ = lax.scan(body, jnp.zeros(like.shape, like.dtype), jnp.arange(chunks))
  return total


def _split(x: jax.Array, chunks: int) -> jax.Array:
  return x.reshape(-1, chunks, *x.shape[1:])


def _take(parts: jax.Array, index: jax.Array | int) -> jax.Array:
  return lax.dynamic_index_in_dim(parts, index, axis=1, keepdims=False)
