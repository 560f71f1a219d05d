"""Convolution in the Fourier domain, block by block (overlap-save).

A correlation of real maps is a product of their real FFTs, one of them conjugated
(chapter 14.3). A block of outputs needs a block of inputs that is wider by the reach of
the kernel; blocks keep the transforms small where the image is large. Strides and
dilations are those of a dense correlation: the kernel's gaps and the outputs' are
filled with zeros, so they cost what they skip.

Accuracy in float32 is that of the transforms: errors are about 1e-6 of the largest
output. bfloat16 is computed in float32.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
from jax import lax

from symjax.nn.conv.chunks import count_chunks, map_chunks, sum_chunks
from symjax.nn.conv.problem import Problem

# Of spectra at a time.
_CHUNK_BYTES = 32 * 2**20
_SHORTEST = 32  # Outputs of a block: more blocks only take longer to compile.


def supports(problem: Problem) -> bool:
  """Whether this algorithm can do it: always, in floating point."""
  del problem
  return True


def forward(x: jax.Array, kernel: jax.Array, problem: Problem) -> jax.Array:
  """[batch, height', width', features] of `x` and `kernel`."""
  down, across = problem.window.stride
  y = _correlate(x, _spread(kernel, problem.window.dilation), _dense(problem))
  return y[:, ::down, ::across]


def input_gradient(dy: jax.Array, kernel: jax.Array, problem: Problem) -> jax.Array:
  """The cotangent of the map, [batch, height, width, channels]."""
  dense = _dense(problem)
  height, width, channels, features = kernel.shape
  turned = jnp.flip(kernel, (0, 1)).reshape(
    height, width, channels, problem.groups, features // problem.groups
  )
  turned = turned.transpose(0, 1, 4, 3, 2)
  turned = turned.reshape(height, width, -1, problem.channels)
  turned = _spread(turned, problem.window.dilation)
  return _correlate(_filled(dy, problem), turned, dense.transposed())


def kernel_gradient(x: jax.Array, dy: jax.Array, problem: Problem) -> jax.Array:
  """The cotangent of the kernel, [height, width, channels / groups, features]."""
  dense = _dense(problem)
  sides, counts = _blocks(dense)
  halo = [
    side + taps - 1 for side, taps in zip(sides, dense.window.kernel, strict=True)
  ]
  lengths = [scipy.fft.next_fast_len(length, real=True) for length in halo]
  groups = problem.groups

  def correlate(x: jax.Array, dy: jax.Array) -> jax.Array:
    inputs = _by_group(
      _spectrum(_input_blocks(x, dense, sides, counts), lengths), groups
    )
    outputs = _by_group(_spectrum(_output_blocks(dy, sides, counts), lengths), groups)
    # [frequencies, groups, channels, features], summed over images and blocks.
    return jnp.einsum('nfgi,nfgo->fgio', inputs, outputs.conj())

  wide = np.promote_types(x.dtype, np.float32)
  spectrum = sum_chunks(
    correlate,
    x.astype(wide),
    _filled(dy, problem).astype(wide),
    _chunks(dense, lengths, counts),
  )
  frequencies = (lengths[0], lengths[1] // 2 + 1)
  spectrum = spectrum.reshape(*frequencies, *spectrum.shape[1:])
  dk = jnp.fft.irfft2(spectrum, s=lengths, axes=(0, 1))
  row, column = problem.window.dilation
  taps = dense.window.kernel
  dk = dk[: taps[0] : row, : taps[1] : column]
  dk = dk.transpose(0, 1, 3, 2, 4)
  return dk.reshape(*problem.window.kernel, -1, problem.features).astype(x.dtype)


def _correlate(x: jax.Array, kernel: jax.Array, dense: Problem) -> jax.Array:
  """The dense correlation of `x` with `kernel`, in `x`'s dtype."""
  sides, counts = _blocks(dense)
  halo = [
    side + taps - 1 for side, taps in zip(sides, dense.window.kernel, strict=True)
  ]
  lengths = [scipy.fft.next_fast_len(length, real=True) for length in halo]
  wide = np.promote_types(x.dtype, np.float32)
  groups = dense.groups
  filters = jnp.fft.rfft2(kernel.astype(wide), s=lengths, axes=(0, 1)).conj()
  filters = filters.reshape(-1, kernel.shape[2], groups, kernel.shape[3] // groups)

  def convolve(x: jax.Array) -> jax.Array:
    blocks = _input_blocks(x.astype(wide), dense, sides, counts)
    inputs = _by_group(_spectrum(blocks, lengths), groups)
    spectrum = jnp.einsum('nfgi,figo->nfgo', inputs, filters)
    spectrum = spectrum.reshape(-1, lengths[0], lengths[1] // 2 + 1, dense.features)
    y = jnp.fft.irfft2(spectrum, s=lengths, axes=(1, 2))[:, : sides[0], : sides[1]]
    y = y.reshape(-1, *counts, *sides, dense.features).transpose(0, 1, 3, 2, 4, 5)
    y = y.reshape(-1, counts[0] * sides[0], counts[1] * sides[1], dense.features)
    height, width = dense.output_size
    return y[:, :height, :width].astype(x.dtype)

  return map_chunks(convolve, x, _chunks(dense, lengths, counts))


def _dense(problem: Problem) -> Problem:
  """The same correlation with every position and the kernel's gaps filled."""
  window = problem.window
  kernel = [
    gap * (taps - 1) + 1
    for taps, gap in zip(window.kernel, window.dilation, strict=True)
  ]
  full = dataclasses.replace(
    window, kernel=(kernel[0], kernel[1]), stride=(1, 1), dilation=(1, 1)
  )
  return dataclasses.replace(problem, window=full)


def _spread(kernel: jax.Array, dilation: tuple[int, int]) -> jax.Array:
  gaps = [(0, 0, spacing - 1) for spacing in dilation]
  return lax.pad(kernel, jnp.zeros((), kernel.dtype), (*gaps, (0, 0, 0), (0, 0, 0)))


def _filled(dy: jax.Array, problem: Problem) -> jax.Array:
  """The gradient at every position, zero where the stride skips."""
  size = _dense(problem).output_size
  borders = [(0, 0, 0)]
  for axis in range(2):
    stride, positions = problem.window.stride[axis], dy.shape[axis + 1]
    borders.append((0, size[axis] - (positions - 1) * stride - 1, stride - 1))
  return lax.pad(dy, jnp.zeros((), dy.dtype), (*borders, (0, 0, 0)))


def _blocks(dense: Problem) -> tuple[tuple[int, int], tuple[int, int]]:
  """Sides and numbers of the blocks of outputs, (vertical, horizontal)."""
  sides, counts = [], []
  for taps, positions in zip(dense.window.kernel, dense.output_size, strict=True):
    most = max(1, positions // _SHORTEST)
    count = min(range(1, most + 1), key=lambda n: _work(n, taps, positions))
    sides.append(-(-positions // count))
    counts.append(-(-positions // sides[-1]))
  return (sides[0], sides[1]), (counts[0], counts[1])


def _work(count: int, taps: int, positions: int) -> float:
  """Of transforming one axis in `count` blocks, and of multiplying their spectra."""
  length = scipy.fft.next_fast_len(-(-positions // count) + taps - 1, real=True)
  return count * length * (1 + math.log2(length))


def _input_blocks(
  x: jax.Array, dense: Problem, sides: tuple[int, int], counts: tuple[int, int]
) -> jax.Array:
  """Blocks and what the kernel reaches beyond: [n * blocks, rows, columns, ...]."""
  borders = [(0, 0, 0)]
  extents = []
  for axis in range(2):
    extent = sides[axis] * counts[axis] + dense.window.kernel[axis] - 1
    low = dense.window.widths[axis][0]
    borders.append((low, extent - low - x.shape[axis + 1], 0))
    extents.append(sides[axis] + dense.window.kernel[axis] - 1)
  x = lax.pad(x, jnp.zeros((), x.dtype), (*borders, (0, 0, 0)))
  rows = [
    lax.slice_in_dim(x, i * sides[0], i * sides[0] + extents[0], axis=1)
    for i in range(counts[0])
  ]
  blocks = [
    lax.slice_in_dim(row, j * sides[1], j * sides[1] + extents[1], axis=2)
    for row in rows
    for j in range(counts[1])
  ]
  return jnp.stack(blocks, axis=1).reshape(-1, *extents, x.shape[-1])


def _output_blocks(
  dy: jax.Array, sides: tuple[int, int], counts: tuple[int, int]
) -> jax.Array:
  """Blocks of the outputs' gradient, [n * blocks, rows, columns, features]."""
  n, height, width, features = dy.shape
  borders = (
    (0, 0, 0),
    (0, counts[0] * sides[0] - height, 0),
    (0, counts[1] * sides[1] - width, 0),
    (0, 0, 0),
  )
  dy = lax.pad(dy, jnp.zeros((), dy.dtype), borders)
  dy = dy.reshape(n, counts[0], sides[0], counts[1], sides[1], features)
  return dy.transpose(0, 1, 3, 2, 4, 5).reshape(-1, *sides, features)


def _spectrum(blocks: jax.Array, lengths: list[int]) -> jax.Array:
  """[blocks, frequencies, channels], complex."""
  spectrum = jnp.fft.rfft2(blocks, s=lengths, axes=(1, 2))
  return spectrum.reshape(spectrum.shape[0], -1, spectrum.shape[-1])


def _by_group(spectrum: jax.Array, groups: int) -> jax.Array:
  return spectrum.reshape(*spectrum.shape[:2], groups, -1)


def _chunks(dense: Problem, lengths: list[int], counts: tuple[int, int]) -> int:
  values = math.prod(lengths) * math.prod(counts) * (dense.channels + dense.features)
  return count_chunks(dense.batch, 4 * values, _CHUNK_BYTES)
