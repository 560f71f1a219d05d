"""Group convolutions: filters shared over the turns and mirrors of a plane group.

Feature maps are [batch, height, width, |G|, channels]. With the channels last and the
orientations before them, a reshape that moves nothing makes one plain convolution of a
layer, whose kernel is one gather of the shared filters; and an elementwise function, a
dense layer or a BatchNorm over the last axis is equivariant as it stands.

Zero, mirrored, periodic and partial borders all keep equivariance, and so do strides
that treat both ends of the map alike (`symjax.symmetry.stride`); others are refused.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import dtypes
from flax.typing import Dtype

from symjax.errors import UserError
from symjax.nn.layers import Conv, convolve, require_fit
from symjax.nn.policy import ConvPolicy
from symjax.nn.window import Window
from symjax.symmetry.plane_groups import elements_of, planar_kernel
from symjax.symmetry.stride import nearest_even_sizes


class SharedConv(nn.Module):
  """What lifting and group convolutions have in common; no layer itself.

  Attributes:
    lifting: whether the input is an image, without orientations.
    features: output channels; each has a plane for every element of the group.
    group: 'p4' (quarter turns), 'p4m' (mirrors too), or 'p1' (neither), under which
      this is a plain convolution.
    kernel_size: taps on a side, odd, so that there is a middle one to turn about.
    stride: pixels between positions.
    use_bias: whether a bias follows, one for each channel, shared by its planes.
    policy: border mode and width rule; the border keeps the map's size at stride 1.
    dtype: of the computation; the parameters are held in `param_dtype`.
  """

  lifting: ClassVar[bool]
  features: int
  group: str = 'p4m'
  kernel_size: int = 3
  stride: int = 1
  use_bias: bool = True
  policy: ConvPolicy = ConvPolicy()
  dtype: Dtype | None = None
  param_dtype: Dtype = jnp.float32

  def __post_init__(self) -> None:
    super().__post_init__()
    elements_of(self.group)  # Refuses an unknown one.
    if self.kernel_size < 1 or self.kernel_size % 2 == 0:
      raise UserError(
        f'layer {self.name or type(self).__name__}: a kernel of {self.kernel_size} '
        f'taps has no middle one to turn about; use {max(self.kernel_size - 1, 1)} or '
        f'{max(self.kernel_size, 0) + 1}'
      )

  @property
  def order(self) -> int:
    """|G|, the elements about a point."""
    return len(elements_of(self.group))

  def window(self, size: tuple[int, int]) -> Window:
    """The window on an input map of `size` [height, width]."""
    return self._plain().window(size)

  def export(self, variables: Mapping[str, Any]) -> tuple[Conv, dict[str, Any]]:
    """The plain convolution that computes the same, and its variables.

    It takes and gives orientations and channels as one axis, the orientations major.
    """
    return self._plain(), {'params': self._unfold(variables['params'])}

  def _plain(self) -> Conv:
    return Conv(
      self.order * self.features,
      (self.kernel_size, self.kernel_size),
      (self.stride, self.stride),
      use_bias=self.use_bias,
      policy=self.policy,
      dtype=self.dtype,
      param_dtype=self.param_dtype,
      parent=None,  # No child of this layer, which has the parameters.
    )

  def _unfold(self, shared: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """The parameters of the plain convolution, from this layer's."""
    kernel = planar_kernel(shared['kernel'], self.group, lifting=self.lifting)
    if not self.use_bias:
      return {'kernel': kernel}
    return {'kernel': kernel, 'bias': jnp.tile(shared['bias'], self.order)}

  def _convolve(self, x: jax.Array) -> jax.Array:
    """[batch, height', width', |G|, features] of [batch, height, width, planes]."""
    side = self.kernel_size
    shape = (side, side, x.shape[-1], self.features)
    # He et al. with the fan of the outputs, as `Conv` has it: of all |G| features.
    start = nn.initializers.variance_scaling(2.0 / self.order, 'fan_out', 'normal')
    shared = {'kernel': self.param('kernel', start, shape, self.param_dtype)}
    if self.use_bias:
      zeros = nn.initializers.zeros
      shared['bias'] = self.param('bias', zeros, (self.features,), self.param_dtype)
    size = (x.shape[1], x.shape[2])
    window = self.window(size)
    require_fit(self, window, size)
    if self.order > 1:
      self._require_even_ends(size)
    params = self._unfold(shared)
    # By the function and not by the layer of `export`, which whoever watches the calls
    # of a network's layers would take for one of them.
    x, kernel, bias = dtypes.promote_dtype(
      x, params['kernel'], params.get('bias'), dtype=self.dtype
    )
    y = convolve(x, kernel, bias, window, self.policy)
    return y.reshape(*y.shape[:3], self.order, self.features)

  def _require_even_ends(self, size: tuple[int, int]) -> None:
    """Refuses a map that the strides do not walk evenly.

    Raises:
      UserError: naming this layer, the map, and the nearest sizes that would do.
    """
    for pixels in size:
      even = nearest_even_sizes(
        pixels, self.kernel_size, self.stride, lambda n: self.window((n, n)).widths[0]
      )
      if pixels not in even:
        raise UserError(
          f'layer {"/".join(self.path) or type(self).__name__}: {self.kernel_size} '
          f'taps at stride {self.stride} do not treat both ends of {pixels} pixels '
          f'alike, which breaks {self.group} on a {size[0]}x{size[1]} map; use a side '
          f'of {" or ".join(map(str, even))} here'
        )


class LiftingConv(SharedConv):
  """Cross-correlation of an image with all transforms of each filter.

  Cohen & Welling, "Group equivariant convolutional networks" (2016), Eq. 10. Its
  parameters are `kernel` [k, k, in, features] and `bias` [features].
  """

  lifting = True

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Lifts [batch, height, width, in] to [batch, height', width', |G|, features].

    Raises:
      UserError: a map on which the layer would not be equivariant, or no image.
    """
    if x.ndim != 4:
      raise UserError(
        f'layer {"/".join(self.path) or type(self).__name__} lifts images [batch, '
        f'height, width, channels]; its input has shape {x.shape}'
      )
    return self._convolve(x)


class GroupConv(SharedConv):
  """Cross-correlation on a plane group: its filters see all orientations at once.

  Cohen & Welling (2016), Eq. 11: a filter that is turned also has its orientations
  permuted. Its parameters are `kernel` [k, k, |G| * in, features], the orientations
  major, and `bias` [features].
  """

  lifting = False

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [batch, height, width, |G|, in] to [batch, height', width', |G|, features].

    Raises:
      UserError: a map on which the layer would not be equivariant, or one that does
        not have the orientations of this layer's group.
    """
    if x.ndim != 5 or x.shape[3] != self.order:
      raise UserError(
        f'layer {"/".join(self.path) or type(self).__name__}: {self.group} takes '
        f'[batch, height, width, {self.order}, channels]; its input has shape '
        f'{x.shape}: lift images by LiftingConv, and keep to one group'
      )
    return self._convolve(x.reshape(*x.shape[:3], -1))
