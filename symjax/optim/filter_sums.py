"""Sums over filters, of several arrays in one pass over the memory."""

import math
import operator

import jax
import jax.numpy as jnp

_CHUNK = 12  # Rows at a time: what a compiler unrolls, and a cache holds.


def filter_sums(axes: tuple[int, ...], *arrays: jax.Array) -> tuple[jax.Array, ...]:
  """Sums of each of `arrays` [...] over the axes of a filter, which keep size 1.

  What the arrays are computed from is read once: XLA's backends fuse products into
  the reduction that sums them, but the one for CPUs reads anew for each separate
  sum. They are added up as a tree, a few rows at a time; rounding errors stay small.

  Args:
    axes: of a filter, counted from 0.
    *arrays: two or more of the same shape and dtype.
  """
  shape = arrays[0].shape
  rows = math.prod(shape[axis] for axis in axes)
  front = range(len(axes))
  sums = tuple(jnp.moveaxis(array, axes, front).reshape(rows, -1) for array in arrays)
  while (chunk := _largest_divisor(rows)) > 1:
    rows //= chunk
    zeros = tuple(jnp.zeros([], array.dtype) for array in sums)
    sums = jax.lax.reduce(
      tuple(array.reshape(rows, chunk, -1) for array in sums),
      zeros,
      lambda totals, values: tuple(map(operator.add, totals, values)),
      (1,),
    )
  kept = [1 if axis in axes else size for axis, size in enumerate(shape)]
  # One row is left, or a large prime number of them.
  return tuple(array.sum(0).reshape(kept) for array in sums)


def _largest_divisor(rows: int) -> int:
  """The largest divisor of `rows` up to `_CHUNK`."""
  return max(chunk for chunk in range(1, _CHUNK + 1) if rows % chunk == 0)
