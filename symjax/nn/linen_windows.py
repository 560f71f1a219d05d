"""The windows of `flax.linen.Conv`, which spells them in several ways."""

from typing import Any

from flax import linen as nn

from symjax.nn.window import Window, same_widths


def linen_window(conv: nn.Conv, size: tuple[int, int]) -> Window:
  """The window of a 2-D convolution on a map of `size` [height, width]."""
  kernel = _pair(conv.kernel_size)
  stride = _pair(1 if conv.strides is None else conv.strides)
  dilation = _pair(1 if conv.kernel_dilation is None else conv.kernel_dilation)
  widths: Any = conv.padding
  if widths == 'SAME':
    widths = [same_widths(size[i], kernel[i], stride[i], dilation[i]) for i in (0, 1)]
  elif widths == 'VALID':
    widths = 0
  elif isinstance(widths, str):
    # CIRCULAR and REFLECT keep the map's size at stride 1, at any stride.
    reach = [dilation[i] * (kernel[i] - 1) for i in (0, 1)]
    widths = [(r // 2, r - r // 2) for r in reach]
  if isinstance(widths, int):
    widths = [widths, widths]
  vertical, horizontal = (_pair(side) for side in widths)
  return Window(kernel, stride, (vertical, horizontal), dilation)


def linen_border(conv: nn.Conv) -> str:
  """With what it pads, one of `symjax.nn.padding.MODES`."""
  return {'CIRCULAR': 'circular', 'REFLECT': 'reflect'}.get(str(conv.padding), 'zero')


def _pair(value: Any) -> tuple[int, int]:
  return (value, value) if isinstance(value, int) else (value[0], value[1])
