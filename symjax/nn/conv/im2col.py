"""Convolution as one matrix product, over the patches that the window sees."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from symjax.nn.conv.chunks import count_chunks, map_chunks, sum_chunks
from symjax.nn.conv.problem import Problem, transposed_kernel

# Of patches at a time: bounds the memory, and should fit into the cores' caches.
_CHUNK_BYTES = 8 * 2**20


def supports(problem: Problem) -> bool:
  """Whether this algorithm can do it: always."""
  del problem
  return True


def forward(x: jax.Array, kernel: jax.Array, problem: Problem) -> jax.Array:
  """[batch, height', width', features] of `x` and `kernel`."""
  weights = _grouped_kernel(kernel, problem)

  def convolve(x: jax.Array) -> jax.Array:
    y = lax.dot_general(
      _patches(x, problem),
      weights,
      (((2,), (1,)), ((0,), (0,))),
      preferred_element_type=_accumulator(x),
    )
    y = jnp.moveaxis(y, 0, 1).reshape(-1, *problem.output_size, problem.features)
    return y.astype(x.dtype)

  return map_chunks(convolve, x, _chunks(problem, x))


def input_gradient(dy: jax.Array, kernel: jax.Array, problem: Problem) -> jax.Array:
  """The cotangent of the map, [batch, height, width, channels]."""
  if problem.window.stride == (1, 1):
    return forward(dy, transposed_kernel(kernel, problem.groups), problem.transposed())
  weights = _grouped_kernel(kernel, problem)

  def spread(dy: jax.Array) -> jax.Array:
    patches = lax.dot_general(
      _by_group(dy, problem.groups),
      weights,
      (((2,), (2,)), ((0,), (0,))),
      preferred_element_type=_accumulator(dy),
    )
    return _sum_patches(patches, problem).astype(dy.dtype)

  return map_chunks(spread, dy, _chunks(problem, dy))


def kernel_gradient(x: jax.Array, dy: jax.Array, problem: Problem) -> jax.Array:
  """The cotangent of the kernel, [height, width, channels / groups, features]."""

  def correlate(x: jax.Array, dy: jax.Array) -> jax.Array:
    return lax.dot_general(
      _patches(x, problem),
      _by_group(dy, problem.groups),
      (((1,), (1,)), ((0,), (0,))),
      preferred_element_type=_accumulator(x),
    )

  dk = sum_chunks(correlate, x, dy, _chunks(problem, x))
  channels = problem.channels // problem.groups
  dk = jnp.moveaxis(dk, 0, 1)  # [taps * channels, groups, features / groups]
  return dk.reshape(*problem.window.kernel, channels, problem.features).astype(x.dtype)


def _patches(x: jax.Array, problem: Problem) -> jax.Array:
  """What the window sees, [groups, positions, taps * channels / groups]."""
  (top, bottom), (left, right) = problem.window.widths
  borders = ((0, 0, 0), (top, bottom, 0), (left, right, 0), (0, 0, 0))
  x = lax.pad(x, jnp.zeros((), x.dtype), borders)
  # First the taps of a row side by side, then the rows: a copy for each row and each
  # column of the kernel, where one for each tap would take long to compile.
  for axis in (1, 0):
    taps, stride, dilation, positions = _along(problem, axis)
    x = jnp.concatenate(
      [
        lax.slice_in_dim(
          x,
          tap * dilation,
          tap * dilation + stride * (positions - 1) + 1,
          stride,
          axis=axis + 1,
        )
        for tap in range(taps)
      ],
      axis=-1,
    )
  if problem.groups == 1:
    return x.reshape(1, -1, x.shape[-1])
  taps = math.prod(problem.window.kernel)
  x = x.reshape(-1, taps, problem.groups, problem.channels // problem.groups)
  return x.transpose(2, 0, 1, 3).reshape(problem.groups, x.shape[0], -1)


def _sum_patches(patches: jax.Array, problem: Problem) -> jax.Array:
  """The transpose of `_patches`: each pixel's sum over the windows that see it."""
  rows, columns = problem.window.kernel
  if problem.groups > 1:
    shape = (*patches.shape[:2], rows * columns, problem.channels // problem.groups)
    patches = patches.reshape(shape).transpose(1, 2, 0, 3)
  x = patches.reshape(-1, *problem.output_size, rows * columns * problem.channels)
  zero = jnp.zeros((), x.dtype)
  for axis in (0, 1):
    taps, stride, dilation, positions = _along(problem, axis)
    low = problem.window.widths[axis][0]
    places = []
    for tap, part in enumerate(jnp.split(x, taps, axis=-1)):
      start = tap * dilation - low
      end = problem.size[axis] - start - (positions - 1) * stride - 1
      place = [(0, 0, 0)] * 4
      place[axis + 1] = (start, end, stride - 1)
      places.append(lax.pad(part, zero, place))
    x = sum(places, start=zero)
  return x


def _along(problem: Problem, axis: int) -> tuple[int, int, int, int]:
  """Taps, stride, dilation and positions along an axis."""
  window = problem.window
  return (
    window.kernel[axis],
    window.stride[axis],
    window.dilation[axis],
    problem.output_size[axis],
  )


def _by_group(x: jax.Array, groups: int) -> jax.Array:
  """[groups, n * height * width, channels / groups] of [n, height, width, channels]."""
  x = x.reshape(-1, groups, x.shape[-1] // groups)
  return jnp.moveaxis(x, 1, 0)


def _grouped_kernel(kernel: jax.Array, problem: Problem) -> jax.Array:
  """[groups, taps * channels / groups, features / groups]."""
  rows = math.prod(kernel.shape[:3])
  return jnp.moveaxis(kernel.reshape(rows, problem.groups, -1), 1, 0)


def _chunks(problem: Problem, x: jax.Array) -> int:
  taps = math.prod(problem.window.kernel)
  if taps == 1:
    return 1  # The map itself.
  values = taps * problem.channels * math.prod(problem.output_size)
  return count_chunks(problem.batch, x.dtype.itemsize * values, _CHUNK_BYTES)


def _accumulator(x: jax.Array) -> np.dtype:
  """Sums are float32 or wider, whatever the inputs."""
  return np.promote_types(x.dtype, np.float32) if _floats(x) else x.dtype


def _floats(x: jax.Array) -> bool:
  return bool(jnp.issubdtype(x.dtype, jnp.floating))
