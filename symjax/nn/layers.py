"""Convolution and pooling under a `ConvPolicy`."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen import dtypes
from flax.typing import Dtype, Initializer

from symjax.errors import UserError
from symjax.nn import padding
from symjax.nn.conv import conv2d
from symjax.nn.initializers import he_normal_fan_out
from symjax.nn.policy import ConvPolicy
from symjax.nn.window import Widths, Window


class Conv(nn.Module):
  """2-D cross-correlation whose border follows the policy.

  Its parameters are those of `flax.linen.Conv`: `kernel` [height, width,
  in / groups, out] and `bias` [out].

  Attributes:
    features: output channels.
    kernel_size: taps, (vertical, horizontal).
    strides: pixels between positions.
    widths: explicit padding ((top, bottom), (left, right)) in pixels; None keeps the
      map's size at stride 1, which takes an odd reach.
    dilation: pixels between taps.
    groups: channel groups; `groups` equal to the input channels is depthwise.
    use_bias: whether a bias follows.
    policy: border mode, width rule and algorithm.
    dtype: of the computation; the parameters are held in `param_dtype`.
  """

  features: int
  kernel_size: tuple[int, int] = (3, 3)
  strides: tuple[int, int] = (1, 1)
  widths: tuple[Widths, Widths] | None = None
  dilation: tuple[int, int] = (1, 1)
  groups: int = 1
  use_bias: bool = True
  policy: ConvPolicy = ConvPolicy()
  dtype: Dtype | None = None
  param_dtype: Dtype = jnp.float32
  kernel_init: Initializer = he_normal_fan_out
  bias_init: Initializer = nn.initializers.zeros

  def window(self, size: tuple[int, int]) -> Window:
    """The window on an input map of `size` [height, width]."""
    widths = self.widths
    if widths is None:
      margins = []
      for taps, spacing in zip(self.kernel_size, self.dilation, strict=True):
        margin, odd = divmod(spacing * (taps - 1), 2)
        if odd:
          raise UserError(
            f'a kernel of {taps} taps has no middle one; give the widths of '
            f'{self.name or "this layer"} explicitly'
          )
        margins.append((margin, margin))
      widths = (margins[0], margins[1])
    window = Window(self.kernel_size, self.strides, widths, self.dilation)
    return self.policy.apply_widths(window, size)

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Convolves [batch, height, width, in] to [batch, height', width', features]."""
    channels = x.shape[-1]
    if channels % self.groups or self.features % self.groups:
      raise UserError(
        f'{self.groups} groups divide neither all of {channels} input nor all of '
        f'{self.features} output channels; choose a common divisor'
      )
    shape = (*self.kernel_size, channels // self.groups, self.features)
    kernel = self.param('kernel', self.kernel_init, shape, self.param_dtype)
    bias = None
    if self.use_bias:
      bias = self.param('bias', self.bias_init, (self.features,), self.param_dtype)
    x, kernel, bias = dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)

    size = (x.shape[1], x.shape[2])
    window = self.window(size)
    require_fit(self, window, size)
    return convolve(x, kernel, bias, window, self.policy, self.groups)


class MaxPool(nn.Module):
  """Maximum over a window; its border is never the maximum.

  Attributes:
    kernel_size: taps, (vertical, horizontal).
    strides: pixels between positions.
    widths: explicit padding ((top, bottom), (left, right)) in pixels.
    policy: its width rule applies where the layer pads at all.
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
    return max_pool(x, window)


def max_pool(x: jax.Array, window: Window) -> jax.Array:
  """The maximum over a window, whose border is never the maximum.

  Where windows tile the map, pixels that share a maximum share its gradient, as its
  symmetry has it; elsewhere the first takes all. The tiles are also several times as
  fast to differentiate on a CPU.

  Args:
    x: [batch, height, width, channels].
    window: without dilation; it fits the map.

  Returns:
    [batch, height', width', channels].
  """
  if window.kernel != window.stride or window.widths != ((0, 0), (0, 0)):
    return nn.max_pool(x, window.kernel, window.stride, window.widths)
  height, width = window.output_size((x.shape[1], x.shape[2]))
  rows, columns = window.kernel
  x = x[:, : height * rows, : width * columns]
  return x.reshape(-1, height, rows, width, columns, x.shape[-1]).max(axis=(2, 4))


def convolve(
  x: jax.Array,
  kernel: jax.Array,
  bias: jax.Array | None,
  window: Window,
  policy: ConvPolicy,
  groups: int = 1,
) -> jax.Array:
  """The cross-correlation of a map under a policy; all arrays have one dtype.

  Args:
    x: [batch, height, width, in].
    kernel: [kernel height, kernel width, in / groups, out].
    bias: [out], or None.
    window: the kernel's, as the policy pads it on this map; it fits there.
    policy: border mode and algorithm.
    groups: channel groups.

  Returns:
    [batch, height', width', out].
  """
  size = (x.shape[1], x.shape[2])
  widths = window.widths
  if policy.padding not in ('zero', 'partial'):
    x, widths = padding.pad(x, widths, policy.padding), ((0, 0), (0, 0))
  y = conv2d(
    x,
    kernel,
    window.stride,
    widths,
    window.dilation,
    groups,
    policy.algorithm,
    policy.costs,
  )
  bias = None if bias is None else bias[None, None, None, :]
  if policy.padding == 'partial':
    ratio = padding.partial_ratio(window, size)[None, :, :, None]
    y = y * jnp.asarray(ratio, y.dtype)
    if bias is not None:
      # An output that sees no real pixel stays zero (Liu et al., Eq. 1).
      bias = bias * jnp.asarray(ratio > 0, y.dtype)
  return y if bias is None else y + bias


def adaptive_average_pool(x: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Averages over `size` cells that tile the map, repeating where it is smaller.

  Cell i of n over an axis of m pixels covers floor(i m / n) up to ceil((i + 1) m / n),
  as in PyTorch, so that weights which follow it carry over.

  Args:
    x: [batch, height, width, channels].
    size: (rows, columns) of the result.

  Returns:
    [batch, rows, columns, channels].
  """
  for axis, cells in zip((1, 2), size, strict=True):
    pixels = x.shape[axis]
    index, cell = np.arange(pixels), np.arange(cells)[:, None]
    low, high = cell * pixels // cells, -(-(cell + 1) * pixels // cells)
    covered = (index[None, :] >= low) & (index[None, :] < high)
    weights = jnp.asarray(covered / covered.sum(axis=1, keepdims=True), x.dtype)
    x = jnp.moveaxis(jnp.tensordot(weights, x, axes=(1, axis)), 0, axis)
  return x


def require_fit(layer: nn.Module, window: Window, size: tuple[int, int]) -> None:
  """Refuses a map on which the window has no position.

  Raises:
    UserError: naming the layer, its window and the map.
  """
  if min(window.output_size(size)) < 1:
    kernel = 'x'.join(map(str, window.kernel))
    raise UserError(
      f'layer {"/".join(layer.path) or type(layer).__name__}: its {kernel} window does '
      f'not fit a {size[0]}x{size[1]} map; use larger images or fewer layers'
    )
