"""What follows the nonlinearity of a block whose strided layer ran at all positions."""

import jax
from flax import linen as nn

from symjax.nn import polyphase
from symjax.nn.blur import blur, blur_border, blur_window
from symjax.nn.layers import require_fit
from symjax.nn.policy import ConvPolicy
from symjax.nn.window import Window


class Downsample(nn.Module):
  """The subsampling of a block, where the policy leaves it to one; else nothing.

  A block with strides gives its convolution `policy.convolution_strides(strides)`, and
  this module, without parameters, follows the nonlinearity: BlurPool under 'blur',
  adaptive polyphase sampling of the blurred map under 'aps'. Where the layer itself is
  strided, the map is handed on as it is. A map of n pixels becomes one of
  ceil(n / stride), as many as a strided layer would have left ('valid' borders take a
  blur's width off).

  Branches that meet again keep the same positions:

      y = relu(conv(features, strides=policy.convolution_strides(strides))(x, phase))
      downsample = Downsample(strides, policy, name='downsample')
      phase = downsample.phase(y, phase)
      y = downsample(y, phase)
      x = Downsample(strides, policy, name='shortcut_downsample')(x, phase)

  Attributes:
    strides: of the block, (vertical, horizontal).
    policy: what to do, the size of the blur, and its border.
  """

  strides: tuple[int, int]
  policy: ConvPolicy = ConvPolicy()

  @property
  def acts(self) -> bool:
    """Whether there is anything to do."""
    return self.policy.convolution_strides(self.strides) != self.strides

  @property
  def adapts(self) -> bool:
    """Whether the positions depend on the map."""
    return self.acts and self.policy.downsampling == 'aps'

  def window(self, size: tuple[int, int]) -> Window:
    """The window of the blur, at the block's strides."""
    return blur_window(self.policy.blur_size, self.strides, self.policy.padding)

  def phase(self, x: jax.Array, phase: jax.Array | None = None) -> jax.Array | None:
    """The phase to give to this map and to those which must stay aligned with it.

    Args:
      x: [batch, height, width, channels] map of the main branch.
      phase: of the block, from `sampling_phase`.

    Returns:
      Under 'aps' the [batch] index of the component of `x` to keep; else `phase`.
    """
    return polyphase.largest(self.components(x)) if self.adapts else phase

  @nn.compact
  def __call__(self, x: jax.Array, phase: jax.Array | None = None) -> jax.Array:
    """Takes [batch, height, width, channels] to [batch, height', width', channels].

    Args:
      x: the map.
      phase: under 'aps' the component to keep, from `phase`; None is the map's own.
        Ignored otherwise.
    """
    if not self.acts:
      return x
    if not self.adapts:
      return self._blur(x, self.strides)
    parts = self.components(x)
    return polyphase.select(parts, polyphase.largest(parts) if phase is None else phase)

  def components(self, x: jax.Array) -> jax.Array:
    """[batch, s s', height', width', channels] of the blurred map, under 'aps'."""
    return polyphase.components(self._blur(x, (1, 1)), self.strides)

  def _blur(self, x: jax.Array, strides: tuple[int, int]) -> jax.Array:
    mode = self.policy.padding
    window = blur_window(self.policy.blur_size, strides, mode)
    require_fit(self, window, (x.shape[1], x.shape[2]))
    return blur(x, window, blur_border(mode))
