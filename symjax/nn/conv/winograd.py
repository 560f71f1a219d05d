"""3x3 convolution with a quarter of the multiplications: F(4x4, 3x3) and F(2x2, 3x3).

An output tile of m x m pixels and a filter of 3 x 3 taps are polynomials in two
variables; their product is known from its values at (m + 2)^2 points, one
multiplication each, where the direct sum takes 9 m^2 (Winograd 1980; Lavin & Gray,
arXiv:1509.09308). Over channels each point is a matrix product.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from symjax.nn.conv.chunks import count_chunks, map_chunks, sum_chunks
from symjax.nn.conv.problem import Problem

# Points beside infinity, by the side of a tile. Of symmetric ones with few binary
# digits, these lose the least in float32: a largest error of 2.4e-6 of the largest
# output over 512 channels, against 1.0e-5 for the usual 0, 1, -1, 2, -2.
_POINTS = {2: (0.0, 1.0, -1.0), 4: (0.0, 0.75, -0.75, 1.5, -1.5)}
# Of transformed inputs and outputs at a time; they should fit into the cores' caches.
_CHUNK_BYTES = 8 * 2**20


def supports(problem: Problem) -> bool:
  """Whether this algorithm can do it: 3x3 taps at stride 1, without groups."""
  return problem.plain and problem.window.kernel == (3, 3) and problem.groups == 1


def forward(x: jax.Array, kernel: jax.Array, problem: Problem) -> jax.Array:
  """[batch, height', width', features] of `x` and `kernel`."""
  return _convolve(x, kernel, problem, along=0)


def input_gradient(dy: jax.Array, kernel: jax.Array, problem: Problem) -> jax.Array:
  """The cotangent of the map, [batch, height, width, channels]."""
  return _convolve(dy, kernel[::-1, ::-1], problem.transposed(), along=1)


def kernel_gradient(x: jax.Array, dy: jax.Array, problem: Problem) -> jax.Array:
  """The cotangent of the kernel, [3, 3, channels, features]."""
  side = _tile_side(problem)
  _, taps, outputs = matrices(side)

  def correlate(x: jax.Array, dy: jax.Array) -> jax.Array:
    points = _input_points(_wide(x), problem, side)
    values = _outer(outputs.T, _output_tiles(_wide(dy), side))
    values = values.reshape(len(points), -1, problem.features)
    if len(points[0]) > min(problem.channels, problem.features):
      return _products(points, list(values), 0, 0)
    # Few tiles: what goes in is small, and one product of all points is the fastest.
    stacked = jnp.stack(lax.optimization_barrier(points))
    return lax.dot_general(stacked, values, (((1,), (1,)), ((0,), (0,))))

  dk = _outer(taps.T, sum_chunks(correlate, x, dy, _chunks(problem, side)))
  return dk.reshape(3, 3, problem.channels, problem.features).astype(x.dtype)


@functools.cache
def matrices(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """The three transforms of F(side, 3), float64.

  With them outputs @ ((taps @ g) * (inputs @ d)) is the correlation of d with g.

  Args:
    side: outputs of a tile, 2 or 4.

  Returns:
    (inputs [side + 2, side + 2], taps [side + 2, 3], outputs [side, side + 2]): the
    transposed interpolation (Lavin & Gray's B^T), the filter's values at the points
    (G), and the transposed evaluation (A^T).
  """
  points = np.array(_POINTS[side])
  count = side + 2
  powers = points[:, None] ** np.arange(count)
  outputs = np.zeros((side, count))
  outputs[:, :-1] = powers[:, :side].T
  outputs[-1, -1] = 1.0  # At infinity: the leading coefficient.
  taps = np.zeros((count, 3))
  inputs = np.zeros((count, count))
  for index, point in enumerate(points):
    others = np.delete(points, index)
    taps[index] = powers[index, :3] / np.prod(point - others)
    inputs[index, :-1] = np.poly(others)[::-1]
  taps[-1, -1] = 1.0
  inputs[-1] = np.poly(points)[::-1]
  return inputs, taps, outputs


def _tile_side(problem: Problem) -> int:
  return 2 if max(problem.output_size) <= 2 else 4


def _chunks(problem: Problem, side: int) -> int:
  tiles = [-(-pixels // side) for pixels in problem.output_size]
  values = tiles[0] * tiles[1] * (problem.channels + problem.features)
  # Each chunk goes through the transformed kernel anew, which must stay the smaller.
  kernel = problem.channels * problem.features
  most = max(1.0, problem.batch * values / kernel)
  bytes_per_value = 4 * (side + 2) ** 2
  limit = max(_CHUNK_BYTES, problem.batch * values * bytes_per_value / most)
  return count_chunks(problem.batch, bytes_per_value * values, limit)


def _wide(x: jax.Array) -> jax.Array:
  """At least float32, in which the transforms cancel."""
  return x.astype(np.promote_types(x.dtype, np.float32))


def _convolve(
  x: jax.Array, kernel: jax.Array, problem: Problem, along: int
) -> jax.Array:
  """The convolution of `x` with filters whose axis `along` is that of its channels."""
  side = _tile_side(problem)
  _, filters, outputs = matrices(side)
  rows, columns = (-(-pixels // side) for pixels in problem.output_size)
  height, width = problem.output_size
  values = _both(filters, [list(line) for line in _wide(kernel)])

  def convolve(x: jax.Array) -> jax.Array:
    products = _products(_input_points(_wide(x), problem, side), values, 1, along)
    y = _outer(outputs, products)
    y = y.reshape(side, side, -1, rows, columns, problem.features)
    y = y.transpose(2, 3, 0, 4, 1, 5)
    y = y.reshape(-1, rows * side, columns * side, problem.features)
    return y[:, :height, :width].astype(x.dtype)

  return map_chunks(convolve, x, _chunks(problem, side))


def _both(matrix: np.ndarray, grid: Sequence[Sequence[jax.Array]]) -> list[jax.Array]:
  """The product matrix @ grid @ matrix^T over a grid of arrays, row by row."""
  rows = [
    [_combine(weights, column) for column in zip(*grid, strict=True)]
    for weights in matrix
  ]
  # Each is read many times: it must not be computed anew each time.
  rows = lax.optimization_barrier(rows)
  return [_combine(weights, row) for row in rows for weights in matrix]


def _outer(matrix: np.ndarray, grid: jax.Array) -> jax.Array:
  """The same of a grid in one array [rows, columns, ...] or [rows * columns, ...]."""
  both = jnp.asarray(np.kron(matrix, matrix), grid.dtype)
  return both @ grid.reshape(both.shape[1], -1)


def _input_points(x: jax.Array, problem: Problem, side: int) -> list[jax.Array]:
  """Each point of all tiles with their borders, arrays [tiles, channels]."""
  matrix, _, _ = matrices(side)
  n, _, _, channels = x.shape
  borders, last = [(0, 0, 0)], []
  for axis in range(2):
    low, _ = problem.window.widths[axis]
    tiles = -(-problem.output_size[axis] // side)
    borders.append((low, tiles * side + 2 - low - x.shape[axis + 1], 0))
    last.append((tiles - 1) * side + 1)
  x = lax.pad(x, jnp.zeros((), x.dtype), (*borders, (0, 0, 0)))
  lines = [lax.slice_in_dim(x, i, i + last[0], side, 1) for i in range(side + 2)]
  points = []
  for weights in matrix:
    line = _combine(weights, lines)
    pixels = [lax.slice_in_dim(line, j, j + last[1], side, 2) for j in range(side + 2)]
    points += [_combine(row, pixels).reshape(-1, channels) for row in matrix]
  return points


def _products(
  points: Sequence[jax.Array], values: Sequence[jax.Array], i: int, j: int
) -> jax.Array:
  """The matrix products, over axis i of the one and j of the other, stacked."""
  return jnp.stack(
    [
      lax.dot_general(point, value, (((i,), (j,)), ((), ())))
      for point, value in zip(points, values, strict=True)
    ]
  )


def _combine(weights: np.ndarray, arrays: Sequence[jax.Array]) -> jax.Array:
  """The weighted sum, term by term: zeros and ones cost nothing."""
  total = None
  for weight, array in zip(weights, arrays, strict=True):
    if weight == 0:
      continue
    term = array if weight == 1 else array * jnp.asarray(weight, array.dtype)
    total = term if total is None else total + term
  assert total is not None  # No row of the transforms is zero.
  return total


def _output_tiles(dy: jax.Array, side: int) -> jax.Array:
  """Pixel (i, j) of every tile, [side, side, tiles, features]."""
  n, height, width, features = dy.shape
  rows, columns = -(-height // side), -(-width // side)
  borders = (
    (0, 0, 0),
    (0, rows * side - height, 0),
    (0, columns * side - width, 0),
    (0, 0, 0),
  )
  dy = lax.pad(dy, jnp.zeros((), dy.dtype), borders)
  dy = dy.reshape(n, rows, side, columns, side, features).transpose(2, 4, 0, 1, 3, 5)
  # Each pixel is read many times: have them lie together first.
  return lax.optimization_barrier(dy.reshape(side, side, -1, features))
