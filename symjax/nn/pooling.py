"""Pooling under a `ConvPolicy`."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from symjax.nn import balanced, padding
from symjax.nn.downsample import Downsample
from symjax.nn.layers import require_fit
from symjax.nn.policy import ConvPolicy
from symjax.nn.window import Widths, Window


class MaxPool(nn.Module):
  """Maximum over a window; its border is never the maximum.

  Under the downsampling 'blur' and 'aps' the maximum is taken at all positions, and a
  `Downsample` within this layer does the rest.

  Attributes:
    kernel_size: taps, (vertical, horizontal).
    strides: pixels between positions.
    widths: explicit padding ((top, bottom), (left, right)) in pixels.
    policy: its downsampling, and, where the layer pads at all, its width rule.
  """

  kernel_size: tuple[int, int] = (2, 2)
  strides: tuple[int, int] = (2, 2)
  widths: tuple[Widths, Widths] = ((0, 0), (0, 0))
  policy: ConvPolicy = ConvPolicy()

  def window(self, size: tuple[int, int]) -> Window:
    """The window of the maximum on an input map of `size` [height, width]."""
    strides = self.policy.convolution_strides(self.strides)
    if self.wraps:
      lows = [low for low, _ in self.widths]
      highs = [k - 1 - low for k, low in zip(self.kernel_size, lows, strict=True)]
      widths = ((lows[0], highs[0]), (lows[1], highs[1]))
      return Window(self.kernel_size, strides, widths)
    return self.policy.apply_widths(
      Window(self.kernel_size, strides, self.widths), size
    )

  @nn.compact
  def __call__(self, x: jax.Array, phase: jax.Array | None = None) -> jax.Array:
    """Pools [batch, height, width, channels] to [batch, height', width', channels].

    Args:
      x: the map.
      phase: as in `Conv` under 'balanced', and as in `Downsample` under 'aps'.
    """
    y = self.maximum(x, phase)
    return Downsample(self.strides, self.policy, name='downsample')(y, phase)

  def maximum(self, x: jax.Array, phase: jax.Array | None = None) -> jax.Array:
    """The maximum at the positions of the window, before any `Downsample`."""
    size = (x.shape[1], x.shape[2])
    window = self.window(size)
    require_fit(self, window, size)
    if self.wraps:
      return max_pool(padding.pad(x, window.widths, 'circular'), window.bare)
    return balanced_max_pool(x, window, self.policy, phase)

  @property
  def wraps(self) -> bool:
    """Whether windows go round the map, without which no sampling is exactly so."""
    return (self.policy.downsampling, self.policy.padding) == ('aps', 'circular')


def balanced_max_pool(
  x: jax.Array, window: Window, policy: ConvPolicy, phase: jax.Array | None
) -> jax.Array:
  """`max_pool` where a policy has its windows begin.

  Args:
    x: [batch, height, width, channels].
    window: without dilation; it fits the map.
    policy: of the layer.
    phase: as in `Conv`.

  Returns:
    [batch, height', width', channels].
  """
  slack = window.slack((x.shape[1], x.shape[2]))
  shifts = balanced.shifts(policy, slack, phase)
  if not shifts:
    return max_pool(x, window)
  border = ((0, 0), *window.widths, (0, 0))
  padded = jnp.pad(x, border, constant_values=-jnp.inf)
  ys = [max_pool(balanced.crop(padded, slack, shift), window.bare) for shift in shifts]
  return sum(ys[1:], start=ys[0]) / len(ys)


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
