"""What stands between group convolutions: BatchNorm and pooling of their maps.

Maps are [batch, height, width, |G|, channels], as in `symjax.nn.group`.
"""

import jax
from flax import linen as nn

from symjax.errors import UserError
from symjax.nn.downsample import Downsample
from symjax.nn.layers import require_fit
from symjax.nn.policy import ConvPolicy
from symjax.nn.pooling import max_pool
from symjax.nn.window import Window

ORIENTATIONS = 3  # The axis of the group.
_STRIDES = (2, 2)


class GroupBatchNorm(nn.BatchNorm):
  """BatchNorm whose statistics, scale and shift a channel's orientations share.

  `flax.linen.BatchNorm` over the last axis does just that on a map with an axis of
  orientations. One without it, whose planes would be normalised each for itself and
  so break the symmetry, is refused.
  """

  def __call__(
    self,
    x: jax.Array,
    use_running_average: bool | None = None,
    *,
    mask: jax.Array | None = None,
  ) -> jax.Array:
    """Normalises [batch, height, width, |G|, channels]; arguments as in linen.

    Raises:
      UserError: there is no axis of orientations.
    """
    _require_orientations(x)
    return super().__call__(x, use_running_average, mask=mask)


class GroupMaxPool(nn.Module):
  """Halves a map: the maximum over windows at stride 2 that treat both ends alike.

  An even axis has windows of two taps without a border, an odd one windows of three
  taps with one pixel of border. So pooling is equivariant at every size, where a
  window of one kind would be at every other.

  Attributes:
    policy: 'valid' leaves the border away; it is never the maximum. 'blur' takes the
      maximum at all positions and then subsamples the blurred map. As windows leave no
      slack, 'balanced' has nothing to draw.

  Raises:
    UserError: a blur of an even size, which is not its own mirror image on the odd
      maps that it gets here, or 'aps', which continues odd maps at one end.
  """

  policy: ConvPolicy = ConvPolicy()

  def __post_init__(self) -> None:
    super().__post_init__()
    if self.policy.downsampling == 'aps':
      raise UserError(
        "downsampling 'aps' is not equivariant to turns and mirrors; use 'stride', or "
        "'blur' of an odd blur_size"
      )
    if self.policy.downsampling == 'blur' and self.policy.blur_size % 2 == 0:
      size = self.policy.blur_size
      raise UserError(
        f'a blur of {size} taps is not equivariant to turns and mirrors between group '
        f'convolutions; use blur_size={size - 1}'
      )

  def window(self, size: tuple[int, int]) -> Window:
    """The window on an input map of `size` [height, width]."""
    down, across = (n % 2 for n in size)
    widths = ((down, down), (across, across))
    strides = self.policy.convolution_strides(_STRIDES)
    window = Window((2 + down, 2 + across), strides, widths)
    return self.policy.apply_widths(window, size)

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Pools [batch, height, width, |G|, channels] to half its height and width.

    Raises:
      UserError: no window fits, or there is no axis of orientations.
    """
    _require_orientations(x)
    planes = self.maximum(x.reshape(*x.shape[:3], -1))
    y = Downsample(_STRIDES, self.policy, name='downsample')(planes)
    return y.reshape(*y.shape[:3], *x.shape[3:])

  def maximum(self, planes: jax.Array) -> jax.Array:
    """The maximum at the positions of the window, before any `Downsample`.

    Args:
      planes: [batch, height, width, |G| channels].
    """
    size = (planes.shape[1], planes.shape[2])
    window = self.window(size)
    require_fit(self, window, size)
    return max_pool(planes, window)


def group_max(x: jax.Array) -> jax.Array:
  """The maximum over orientations, which transforms as an image does.

  Args:
    x: [batch, height, width, |G|, channels].

  Returns:
    [batch, height, width, channels].

  Raises:
    UserError: there is no axis of orientations.
  """
  _require_orientations(x)
  return x.max(axis=ORIENTATIONS)


def group_mean(x: jax.Array) -> jax.Array:
  """The mean over orientations, which transforms as an image does.

  Args:
    x: [batch, height, width, |G|, channels].

  Returns:
    [batch, height, width, channels].

  Raises:
    UserError: there is no axis of orientations.
  """
  _require_orientations(x)
  return x.mean(axis=ORIENTATIONS)


def _require_orientations(x: jax.Array) -> None:
  if x.ndim != 5:
    raise UserError(
      f'a map on a group is [batch, height, width, orientations, channels]; this one '
      f'has shape {x.shape}: lift images by LiftingConv'
    )
