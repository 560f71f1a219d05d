"""A convolution that shares no weights: every position has a kernel of its own."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import dtypes
from flax.typing import Dtype, Initializer
from jax import lax

from symjax.nn import padding
from symjax.nn.layers import Conv, require_fit
from symjax.nn.policy import ConvPolicy
from symjax.nn.window import Window

# He et al., arXiv:1502.01852: the fan is that of one position's kernel.
he_normal_per_position = nn.initializers.variance_scaling(
  2.0, 'fan_in', 'normal', batch_axis=(0, 1)
)


class LocalConv(nn.Module):
  """A locally connected 2-D layer, whose border follows the policy.

  Parameters: `kernel` [height', width', kernel height, kernel width, in, out] and
  `bias` [height', width', out]; at every position those of a `Conv`. With the same ones
  everywhere it is that `Conv`, under every policy.

  `flax.linen.ConvLocal` computes the same. Its kernels have rank 4, which a symmetry
  profile takes for convolutions, and its fans count all positions.

  Attributes:
    features: output channels.
    kernel_size: taps, (vertical, horizontal).
    strides: pixels between positions.
    policy: border mode and width rule.
    dtype: of the computation; the parameters are held in `param_dtype`.
  """

  features: int
  kernel_size: tuple[int, int] = (3, 3)
  strides: tuple[int, int] = (1, 1)
  policy: ConvPolicy = ConvPolicy()
  dtype: Dtype | None = None
  param_dtype: Dtype = jnp.float32
  kernel_init: Initializer = he_normal_per_position
  bias_init: Initializer = nn.initializers.zeros

  def window(self, size: tuple[int, int]) -> Window:
    """The window on an input map of `size` [height, width]."""
    shared = Conv(
      self.features, self.kernel_size, self.strides, policy=self.policy, parent=None
    )
    return shared.window(size)

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [batch, height, width, in] to [batch, height', width', features]."""
    size, channels = (x.shape[1], x.shape[2]), x.shape[-1]
    window = self.window(size)
    require_fit(self, window, size)
    places = window.output_size(size)
    taps = self.kernel_size[0] * self.kernel_size[1]
    shape = (*places, *self.kernel_size, channels, self.features)
    kernel = self.param('kernel', self.kernel_init, shape, self.param_dtype)
    bias = self.param(
      'bias', self.bias_init, (*places, self.features), self.param_dtype
    )
    x, kernel, bias = dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)

    x = padding.pad(x, window.widths, self.policy.padding)
    patches = _patches(x, window, places).reshape(-1, *places, taps * channels)
    kernel = kernel.reshape(*places, taps * channels, self.features)
    y = jnp.einsum('bhwi,hwio->bhwo', patches, kernel)
    if self.policy.padding == 'partial':
      ratio = padding.partial_ratio(window, size)[:, :, None]
      y = y * jnp.asarray(ratio, y.dtype)[None]
      bias = bias * jnp.asarray(ratio > 0, y.dtype)
    return y + bias[None]


def _patches(x: jax.Array, window: Window, places: tuple[int, int]) -> jax.Array:
  """[batch, height', width', taps, in] that the window sees of a map already padded."""

  def seen(row: int, column: int) -> jax.Array:
    """The pixels under one tap, at all positions."""
    down, right = window.stride
    start = (0, row, column, 0)
    last = (row + down * (places[0] - 1), column + right * (places[1] - 1))
    end = (x.shape[0], last[0] + 1, last[1] + 1, x.shape[3])
    return lax.slice(x, start, end, (1, down, right, 1))

  height, width = window.kernel
  taps = [seen(row, column) for row in range(height) for column in range(width)]
  return jnp.stack(taps, axis=3)
