"""What a convolution is asked to do, known from shapes alone."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from symjax.nn.window import Widths, Window


@dataclasses.dataclass(frozen=True)
class Problem:
  """The shapes of a 2-D cross-correlation whose border is filled with zeros.

  Attributes:
    batch: images.
    size: [height, width] of the map, without its border.
    channels: of the map.
    features: channels of the output.
    window: kernel, stride, widths and dilation.
    groups: channel groups.
  """

  batch: int
  size: tuple[int, int]
  channels: int
  features: int
  window: Window
  groups: int = 1

  @property
  def output_size(self) -> tuple[int, int]:
    """Positions of the window, (vertical, horizontal)."""
    return self.window.output_size(self.size)

  @property
  def padded_size(self) -> tuple[int, int]:
    """[height, width] of the map with its border."""
    (top, bottom), (left, right) = self.window.widths
    return self.size[0] + top + bottom, self.size[1] + left + right

  @property
  def multiplications(self) -> int:
    """Of the direct sum, border included; each of the three passes takes as many."""
    per_position = math.prod(self.window.kernel) * self.channels // self.groups
    return self.batch * math.prod(self.output_size) * per_position * self.features

  @property
  def plain(self) -> bool:
    """Whether the window neither strides nor is dilated."""
    return self.window.stride == (1, 1) and self.window.dilation == (1, 1)

  def transposed(self) -> 'Problem':
    """The convolution of the outputs' gradient that gives the inputs'.

    Its kernel is this one turned by 180 degrees, channels and features exchanged. Only
    of problems at stride 1.
    """
    vertical, horizontal = (_transposed_widths(self.window, axis) for axis in range(2))
    window = dataclasses.replace(self.window, widths=(vertical, horizontal))
    return dataclasses.replace(
      self,
      size=self.output_size,
      channels=self.features,
      features=self.channels,
      window=window,
    )


def _transposed_widths(window: Window, axis: int) -> Widths:
  reach = window.dilation[axis] * (window.kernel[axis] - 1)
  low, high = window.widths[axis]
  return reach - low, reach - high


def transposed_kernel(kernel: jax.Array, groups: int) -> jax.Array:
  """The kernel of the transposed problem, [height, width, features / groups, channels].

  Args:
    kernel: [height, width, channels / groups, features].
    groups: channel groups.
  """
  height, width, channels, features = kernel.shape
  turned = jnp.flip(kernel, (0, 1))
  turned = turned.reshape(height, width, channels, groups, features // groups)
  turned = turned.transpose(0, 1, 4, 3, 2)
  return turned.reshape(height, width, features // groups, groups * channels)
