"""Stride arithmetic: which map sizes a window treats evenly.

A window at stride s that starts at the low end of an axis need not arrive at the high
end: what is left over, the slack, is unseen by padding or by the kernel, at that end
only. Any such layer breaks every flip and turn of the map, whatever its weights and
its border mode (Alsallakh et al., "Mind the Pad", ICLR 2021).
"""

from collections.abc import Callable


def slack(
  size: int,
  kernel: int,
  stride: int = 1,
  widths: tuple[int, int] = (0, 0),
  dilation: int = 1,
) -> int:
  """Padded pixels at the high end of an axis that no position of the window reaches.

  Args:
    size: pixels before padding.
    kernel: taps.
    stride: pixels between positions.
    widths: padding, (low, high).
    dilation: pixels between taps.

  Returns:
    u = (size + low + high - dilation (kernel - 1) - 1) mod stride.
  """
  return (size + sum(widths) - dilation * (kernel - 1) - 1) % stride


def treats_ends_alike(
  size: int,
  kernel: int,
  stride: int = 1,
  widths: tuple[int, int] = (0, 0),
  dilation: int = 1,
) -> bool:
  """Whether the positions of a window are their own mirror image along an axis.

  So they are where the padding that they reach is as wide at both ends; where both
  have the same padding, that is where no slack is left. Arguments as in `slack`.
  """
  return widths[0] == widths[1] - slack(size, kernel, stride, widths, dilation)


def nearest_even_sizes(
  size: int,
  kernel: int,
  stride: int,
  widths_at: Callable[[int], tuple[int, int]],
  dilation: int = 1,
) -> tuple[int, ...]:
  """The nearest sizes whose ends a window treats alike, one each way.

  Args:
    size: pixels of the axis that are asked for.
    kernel: taps.
    stride: pixels between positions.
    widths_at: the padding (low, high) of an axis of so many pixels, which is a
      constant but under TensorFlow's 'SAME'.
    dilation: pixels between taps.

  Returns:
    The next such size below `size`, where the window still fits, and the next above;
    `size` alone if it is one itself. Empty where the padding is uneven at every size.
  """

  def alike(n: int) -> bool:
    widths = widths_at(n)
    fits = n + sum(widths) > dilation * (kernel - 1)
    return fits and treats_ends_alike(n, kernel, stride, widths, dilation)

  if alike(size):
    return (size,)
  # Slack, and the parity of the padding of 'SAME', have the period of the stride.
  smallest = dilation * (kernel - 1) + 1
  below = range(size - 1, max(size - stride, 1) - 1, -1)
  above = range(size + 1, max(size, smallest) + stride + 1)
  found = (next(filter(alike, sizes), None) for sizes in (below, above))
  return tuple(n for n in found if n is not None)
