"""A sliding window over a 2-D map, and its arithmetic."""

import dataclasses

import numpy as np

from symjax.symmetry.stride import slack

# Padding of one axis: (low, high), in pixels.
Widths = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Window:
  """The window of a convolution or pooling; every field is (vertical, horizontal).

  Attributes:
    kernel: taps.
    stride: pixels between neighbouring positions.
    widths: ((top, bottom), (left, right)) padding in pixels.
    dilation: pixels between neighbouring taps.
  """

  kernel: tuple[int, int]
  stride: tuple[int, int] = (1, 1)
  widths: tuple[Widths, Widths] = ((0, 0), (0, 0))
  dilation: tuple[int, int] = (1, 1)

  def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
    """Positions on a map of `size` [height, width]; below 1 where it does not fit."""
    height, width = (self._positions(axis, size[axis]) for axis in range(2))
    return height, width

  def slack(self, size: tuple[int, int]) -> tuple[int, int]:
    """Padded pixels that no position reaches, at the (bottom, right) of a map."""
    vertical, horizontal = (
      slack(size[i], self.kernel[i], self.stride[i], self.widths[i], self.dilation[i])
      for i in range(2)
    )
    return vertical, horizontal

  @property
  def bare(self) -> 'Window':
    """The same window on a map that has its padding already."""
    return dataclasses.replace(self, widths=((0, 0), (0, 0)))

  def shifted(self, size: tuple[int, int], shift: tuple[int, int]) -> 'Window':
    """The window that begins `shift` pixels later on a map of `size`.

    It has as many positions and no slack; widths below 0 crop the map. A shift is at
    most the slack.
    """
    vertical, horizontal = (
      (low - r, high - (u - r))
      for (low, high), u, r in zip(self.widths, self.slack(size), shift, strict=True)
    )
    return dataclasses.replace(self, widths=(vertical, horizontal))

  def taps_inside(self, axis: int, size: int) -> np.ndarray:
    """Taps that fall on real pixels, per position along one axis.

    Returns:
      [positions] int array, each in 0..kernel.
    """
    starts = np.arange(self._positions(axis, size)) * self.stride[axis]
    taps = np.arange(self.kernel[axis]) * self.dilation[axis]
    reads = starts[:, None] - self.widths[axis][0] + taps[None, :]
    return ((reads >= 0) & (reads < size)).sum(axis=1)

  def _positions(self, axis: int, size: int) -> int:
    reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
    return (size + sum(self.widths[axis]) - reach) // self.stride[axis] + 1


def same_widths(size: int, kernel: int, stride: int, dilation: int = 1) -> Widths:
  """TensorFlow's 'SAME' padding of one axis.

  The output has ceil(size / stride) positions; of an odd total the high side gets
  the larger half, so a 3-tap kernel at stride 2 pads (0, 1) on an even axis, where
  PyTorch's explicit (1, 1) uses the low side only.

  Returns:
    (low, high) in pixels.
  """
  reach = dilation * (kernel - 1) + 1
  total = max((-(-size // stride) - 1) * stride + reach - size, 0)
  return total // 2, total - total // 2
