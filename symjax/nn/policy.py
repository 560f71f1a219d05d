"""One choice of arithmetic for every convolution and pooling of a network."""

import dataclasses

from symjax.errors import UserError
from symjax.nn import padding
from symjax.nn.conv import CHOICES, CostTable
from symjax.nn.window import Window, same_widths

WIDTHS = ('explicit', 'same')


@dataclasses.dataclass(frozen=True)
class ConvPolicy:
  """How the convolutions and poolings of a network treat the border, and compute.

  The parameter tree of a network is the same under every policy, so weights trained
  under one load under another.

  Attributes:
    padding: the border mode, one of `symjax.nn.padding.MODES`.
    widths: 'explicit' pads what the layer says at any stride, as PyTorch does;
      'same' is TensorFlow's rule, whose widths depend on the map and which at
      stride 2 is the mirror image of PyTorch's.
    algorithm: of the convolutions, one of `symjax.nn.conv.CHOICES`. Under any but
      'xla', a CPU computes what `jax.jvp` cannot differentiate; gradients are at home
      in all.
    costs: the times by which 'auto' chooses; None is the table that comes with symjax.
  """

  padding: str = 'zero'
  widths: str = 'explicit'
  algorithm: str = 'auto'
  costs: CostTable | None = None

  def __post_init__(self) -> None:
    for field, value, choices in (
      ('padding', self.padding, padding.MODES),
      ('widths', self.widths, WIDTHS),
      ('algorithm', self.algorithm, CHOICES),
    ):
      if value not in choices:
        raise UserError(f'unknown {field} {value!r}; choose from {", ".join(choices)}')

  def apply_widths(self, window: Window, size: tuple[int, int]) -> Window:
    """The window as this policy pads it on a map of `size` [height, width].

    A layer that pads nothing pads nothing under every policy.
    """
    if window.widths == ((0, 0), (0, 0)):
      return window
    if self.padding == 'valid':
      return dataclasses.replace(window, widths=((0, 0), (0, 0)))
    if self.widths == 'explicit':
      return window
    vertical, horizontal = (
      same_widths(size[i], window.kernel[i], window.stride[i], window.dilation[i])
      for i in range(2)
    )
    return dataclasses.replace(window, widths=(vertical, horizontal))
