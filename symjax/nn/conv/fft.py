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
from symjax.nn.conv.problem import Problem, transposed_kernel

# Of spectra at a time.
_CHUNK_BYTES = 32 * 2**20
_SHORTEST = 32  # Outputs of a block: more blocks only take longer to compile.


@dataclasses.dataclass(frozen=True)
class Blocks:
  """How the outputs are cut; every field is (vertical, horizontal).

  Attributes:
    sides: outputs of a block.
    counts: blocks.
    extents: inputs that a block of outputs needs.
    lengths: of the transforms.
  """

  sides: tuple[int, int]
  counts: tuple[int, int]
  extents: tuple[int, int]
  lengths: tuple[int, int]


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
  turned = transposed_kernel(kernel, problem.groups)
  return _correlate(
    _filled(dy, problem),
    _spread(turned, problem.window.dilation),
    _dense(problem).transposed(),
  )


def kernel_gradient(x: jax.Array, dy: jax.Array, problem: Problem) -> jax.Array:
  """The cotangent of the kernel, [height, width, channels / groups, features]."""
  dense = _dense(problem)
  blocks = _cut(dense)
  groups = problem.groups

  def correlate(x: jax.Array, dy: jax.Array) -> jax.Array:
    inputs = _spectrum(_input_blocks(x, dense, blocks), blocks, groups)
    outputs = _spectrum(_output_blocks(dy, blocks), blocks, groups)
    # [frequencies, groups, channels, features], summed over images and blocks.
    return jnp.einsum('nfgi,nfgo->fgio', inputs, outputs.conj())

  wide = np.promote_types(x.dtype, np.float32)
  spectrum = sum_chunks(
    correlate,
    x.astype(wide),
    _filled(dy, problem).astype(wide),
    _chunks(dense, blocks),
  )
  frequencies = (blocks.lengths[0], blocks.lengths[1] // 2 + 1)
  spectrum = spectrum.reshape(*frequencies, *spectrum.shape[1:])
  dk = jnp.fft.irfft2(spectrum, s=blocks.lengths, axes=(0, 1))
  row, column = problem.window.dilation
  taps = dense.window.kernel
  dk = dk[: taps[0] : row, : taps[1] : column]
  dk = dk.transpose(0, 1, 3, 2, 4)
  return dk.reshape(*problem.window.kernel, -1, problem.features).astype(x.dtype)


def _correlate(x: jax.Array, kernel: jax.Array, dense: Problem) -> jax.Array:
  """The dense correlation of `x` with `kernel`, in `x`'s dtype."""
  blocks = _cut(dense)
  wide = np.promote_types(x.dtype, np.float32)
  groups = dense.groups
  lengths, sides, counts = blocks.lengths, blocks.sides, blocks.counts
  filters = jnp.fft.rfft2(kernel.astype(wide), s=lengths, axes=(0, 1)).conj()
  filters = filters.reshape(-1, kernel.shape[2], groups, kernel.shape[3] // groups)

  def convolve(x: jax.Array) -> jax.Array:
    parts = _input_blocks(x.astype(wide), dense, blocks)
    inputs = _spectrum(parts, blocks, groups)
    spectrum = jnp.einsum('nfgi,figo->nfgo', inputs, filters)
    spectrum = spectrum.reshape(-1, lengths[0], lengths[1] // 2 + 1, dense.features)
    y = jnp.fft.irfft2(spectrum, s=lengths, axes=(1, 2))[:, : sides[0], : sides[1]]
    y = y.reshape(-1, *counts, *sides, dense.features).transpose(0, 1, 3, 2, 4, 5)
    y = y.reshape(-1, counts[0] * sides[0], counts[1] * sides[1], dense.features)
    height, width = dense.output_size
    return y[:, :height, :width].astype(x.dtype)

  return map_chunks(convolve, x, _chunks(dense, blocks))


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


def _cut(dense: Problem) -> Blocks:
  """The blocks of which the transforms and products are the least work."""
  cuts: list[tuple[int, int, int, int]] = []
  for taps, positions in zip(dense.window.kernel, dense.output_size, strict=True):
    counts = range(1, max(1, positions // _SHORTEST) + 1)
    count = min(counts, key=lambda n: _work(n, taps, positions))
    side = -(-positions // count)
    extent = side + taps - 1
    length = scipy.fft.next_fast_len(extent, real=True)
    cuts.append((side, -(-positions // side), extent, length))
  down, across = cuts
  return Blocks(*zip(down, across, strict=True))


def _work(count: int, taps: int, positions: int) -> float:
  """Of transforming one axis in `count` blocks, and of multiplying their spectra."""
  length = scipy.fft.next_fast_len(-(-positions // count) + taps - 1, real=True)
  return count * length * (1 + math.log2(length))


def _input_blocks(x: jax.Array, dense: Problem, blocks: Blocks) -> jax.Array:
  """Blocks with what the kernel reaches beyond, [n * blocks, rows, columns, ...]."""
  borders = [(0, 0, 0)]
  for axis in range(2):
    side, count, extent = (
      values[axis] for values in (blocks.sides, blocks.counts, blocks.extents)
    )
    low = dense.window.widths[axis][0]
    borders.append((low, side * (count - 1) + extent - low - x.shape[axis + 1], 0))
  x = lax.pad(x, jnp.zeros((), x.dtype), (*borders, (0, 0, 0)))
  parts = [x]
  for axis in range(2):
    side, extent = blocks.sides[axis], blocks.extents[axis]
    parts = [
      lax.slice_in_dim(part, i * side, i * side + extent, axis=axis + 1)
      for part in parts
      for i in range(blocks.counts[axis])
    ]
  return jnp.stack(parts, axis=1).reshape(-1, *blocks.extents, x.shape[-1])


def _output_blocks(dy: jax.Array, blocks: Blocks) -> jax.Array:
  """Blocks of the outputs' gradient, [n * blocks, rows, columns, features]."""
  n, height, width, features = dy.shape
  (rows, columns), (down, across) = blocks.sides, blocks.counts
  borders = (
    (0, 0, 0),
    (0, down * rows - height, 0),
    (0, across * columns - width, 0),
    (0, 0, 0),
  )
  dy = lax.pad(dy, jnp.zeros((), dy.dtype), borders)
  dy = dy.reshape(n, down, rows, across, columns, features)
  return dy.transpose(0, 1, 3, 2, 4, 5).reshape(-1, rows, columns, features)


def _spectrum(parts: jax.Array, blocks: Blocks, groups: int) -> jax.Array:
  """[blocks, frequencies, groups, channels / groups], complex."""
  spectrum = jnp.fft.rfft2(parts, s=blocks.lengths, axes=(1, 2))
  return spectrum.reshape(spectrum.shape[0], -1, groups, parts.shape[-1] // groups)


def _chunks(dense: Problem, blocks: Blocks) -> int:
  values = math.prod(blocks.lengths) * math.prod(blocks.counts)
  per_image = 4 * values * (dense.channels + dense.features)
  return count_chunks(dense.batch, per_image, _CHUNK_BYTES)
