"""BlurPool: low-pass filtering before a map is subsampled (Zhang, ICML 2019).

"Making convolutional networks shift-invariant again", arXiv:1904.11486, section 3.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from symjax.nn import padding
from symjax.nn.window import Window


def blur_kernel(size: int) -> np.ndarray:
  """[size] binomial weights that sum to 1: (1), (1, 1) / 2, (1, 2, 1) / 4, ..."""
  weights = np.array([math.comb(size - 1, tap) for tap in range(size)], np.float64)
  return weights / weights.sum()


def blur_window(size: int, strides: tuple[int, int], mode: str) -> Window:
  """The window of a blur of `size` taps on a side.

  Of an odd border the high end gets the larger half, as in Zhang's code, so that a
  map of n pixels has ceil(n / stride) positions. On an even map at stride 2 those of an
  even kernel are their own mirror image, on an odd map those of an odd one.
  """
  low, high = ((size - 1) // 2, size // 2) if mode != 'valid' else (0, 0)
  return Window((size, size), strides, ((low, high), (low, high)))


def blur_border(mode: str) -> str:
  """The border mode of the blur in a network whose convolutions have `mode`.

  The network's own where its border is made of pixels. Zeros, which would darken the
  border of every map, are replaced by reflection, which is Zhang's choice.
  """
  return 'reflect' if mode in ('zero', 'partial') else mode


def blur(x: jax.Array, window: Window, mode: str) -> jax.Array:
  """The blurred map at the window's positions.

  Args:
    x: [batch, height, width, channels].
    window: from `blur_window`.
    mode: of the border, one of `symjax.nn.padding.MODES`.

  Returns:
    [batch, height', width', channels].

  Raises:
    UserError: the border is wider than the mode can fill from this map.
  """
  x = padding.pad(x, window.widths, mode)
  for axis in (0, 1):
    x = _along(x, axis + 1, blur_kernel(window.kernel[axis]), window.stride[axis])
  return x


def _along(x: jax.Array, axis: int, weights: np.ndarray, stride: int) -> jax.Array:
  """A weighted sum of strided slices, which XLA fuses into one pass over the map."""
  reach = x.shape[axis] - len(weights) + 1
  terms = [
    jnp.asarray(weight, x.dtype) * lax.slice_in_dim(x, tap, tap + reach, stride, axis)
    for tap, weight in enumerate(weights)
  ]
  return sum(terms[1:], start=terms[0])
