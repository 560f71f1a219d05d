"""The average over a window, under a `ConvPolicy`."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from symjax.nn import padding
from symjax.nn.layers import require_fit
from symjax.nn.policy import ConvPolicy
from symjax.nn.window import Widths, Window


class AveragePool(nn.Module):
  """Average over a window: a convolution with equal weights, and its border.

  So the policy's border mode means what it means there. Zeros are averaged with the
  rest, as PyTorch does (`count_include_pad`); under 'partial' only real pixels are. As
  it filters before it samples, its positions are the same under every downsampling.

  Attributes:
    kernel_size: taps, (vertical, horizontal).
    strides: pixels between positions.
    widths: explicit padding ((top, bottom), (left, right)) in pixels.
    policy: border mode and width rule.
  """

  kernel_size: tuple[int, int] = (2, 2)
  strides: tuple[int, int] = (2, 2)
  widths: tuple[Widths, Widths] = ((0, 0), (0, 0))
  policy: ConvPolicy = ConvPolicy()

  def window(self, size: tuple[int, int]) -> Window:
    """The window on an input map of `size` [height, width]."""
    window = Window(self.kernel_size, self.strides, self.widths)
    return self.policy.apply_widths(window, size)

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Pools [batch, height, width, channels] to [batch, height', width', channels]."""
    size = (x.shape[1], x.shape[2])
    window = self.window(size)
    require_fit(self, window, size)
    # Many narrow numbers are added in a wider one.
    wide = x.astype(np.promote_types(x.dtype, np.float32))
    wide = padding.pad(wide, window.widths, self.policy.padding)
    taps, steps = (1, *window.kernel, 1), (1, *window.stride, 1)
    zero = np.zeros((), wide.dtype)
    y = lax.reduce_window(wide, zero, lax.add, taps, steps, 'VALID') / math.prod(taps)
    if self.policy.padding == 'partial':
      ratio = padding.partial_ratio(window, size)[None, :, :, None]
      y = y * jnp.asarray(ratio, y.dtype)
    return y.astype(x.dtype)
