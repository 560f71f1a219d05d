"""Convolution under a `ConvPolicy`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen import dtypes
from flax.typing import Dtype, Initializer

from symjax.errors import UserError
from symjax.nn import balanced, padding
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
    strides: pixels between positions, whatever the policy's downsampling: a block
      that leaves some to a `symjax.nn.Downsample` gives less.
    widths: explicit padding ((top, bottom), (left, right)) in pixels; None keeps the
      map's size at stride 1, which takes an odd reach.
    dilation: pixels between taps.
    groups: channel groups; `groups` equal to the input channels is depthwise.
    use_bias: whether a bias follows.
    policy: border mode, width rule, balanced pooling and algorithm.
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
  def __call__(self, x: jax.Array, phase: jax.Array | None = None) -> jax.Array:
    """Convolves [batch, height, width, in] to [batch, height', width', features].

    Args:
      x: the map.
      phase: where a strided window begins under 'balanced', [2] from
        `sampling_phase`; None in evaluation. Ignored under other policies.
    """
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
    return convolve(x, kernel, bias, window, self.policy, self.groups, phase)


def convolve(
  x: jax.Array,
  kernel: jax.Array,
  bias: jax.Array | None,
  window: Window,
  policy: ConvPolicy,
  groups: int = 1,
  phase: jax.Array | None = None,
) -> jax.Array:
  """The cross-correlation of a map under a policy; all arrays have one dtype.

  Args:
    x: [batch, height, width, in].
    kernel: [kernel height, kernel width, in / groups, out].
    bias: [out], or None.
    window: the kernel's, as the policy pads it on this map; it fits there.
    policy: border mode, balanced pooling and algorithm.
    groups: channel groups.
    phase: where the window begins under 'balanced', as in `Conv`.

  Returns:
    [batch, height', width', out].
  """
  size, mode = (x.shape[1], x.shape[2]), policy.padding
  correlate = functools.partial(
    _correlate, kernel=kernel, bias=bias, policy=policy, groups=groups
  )
  slack = window.slack(size)
  if shifts := balanced.shifts(policy, slack, phase):
    padded = padding.pad(x, window.widths, mode)

    def correlate_at(shift: jax.Array) -> jax.Array:
      seen, ratio = balanced.crop(padded, slack, shift), None
      if mode == 'partial':
        ratio = balanced.shifted_ratio(window, size, shift)
      return correlate(seen, window=window.bare, ratio=ratio)

    return balanced.mean_over(shifts, correlate_at)
  if mode == 'partial':
    return correlate(x, window=window, ratio=padding.partial_ratio(window, size))
  if mode != 'zero':
    x, window = padding.pad(x, window.widths, mode), window.bare
  return correlate(x, window=window, ratio=None)


def _correlate(
  x: jax.Array,
  kernel: jax.Array,
  bias: jax.Array | None,
  window: Window,
  policy: ConvPolicy,
  groups: int,
  ratio: np.ndarray | jax.Array | None,
) -> jax.Array:
  """The cross-correlation of a zero-padded map, times PartialConv's ratio if any."""
  y = conv2d(
    x,
    kernel,
    window.stride,
    window.widths,
    window.dilation,
    groups,
    policy.algorithm,
    policy.costs,
  )
  bias = None if bias is None else bias[None, None, None, :]
  if ratio is not None:
    ratio = ratio[None, :, :, None]
    y = y * jnp.asarray(ratio, y.dtype)
    if bias is not None:
      # An output that sees no real pixel stays zero (Liu et al., Eq. 1).
      bias = bias * jnp.asarray(ratio > 0, y.dtype)
  return y if bias is None else y + bias


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
