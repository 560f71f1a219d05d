"""One choice of arithmetic for every convolution and pooling of a network."""

import dataclasses

from symjax.errors import UserError
from symjax.nn import padding
from symjax.nn.conv import CHOICES, CostTable
from symjax.nn.window import Window, same_widths

WIDTHS = ('explicit', 'same')
DOWNSAMPLINGS = ('stride', 'blur', 'balanced', 'aps')
BALANCED_EVALUATIONS = ('fixed', 'alternate', 'average')
LARGEST_BLUR = 7


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
    downsampling: how maps get coarser. 'stride' skips positions, always the same;
      'blur' computes all of them and subsamples the blurred result
      (`symjax.nn.blur`); 'balanced' draws which ones are skipped, anew in each step
      of training (`symjax.nn.balanced`); 'aps' computes all and keeps the positions
      of the largest norm (`symjax.nn.polyphase`).
    blur_size: taps on a side of the blur of 'blur' and 'aps', 1 to 7; 1 is none.
    balanced_evaluation: what 'balanced' does outside of training: 'fixed' skips what
      'stride' does, 'alternate' goes round the four corners from one strided layer to
      the next, 'average' takes the mean over all choices, layer by layer.
    algorithm: of the convolutions, one of `symjax.nn.conv.CHOICES`. Under any but
      'xla', a CPU computes what `jax.jvp` cannot differentiate; gradients are at home
      in all.
    costs: the times by which 'auto' chooses; None is the table that comes with symjax.

  Raises:
    UserError: an unknown choice, or 'balanced' where the widths leave nothing to draw.
  """

  padding: str = 'zero'
  widths: str = 'explicit'
  downsampling: str = 'stride'
  blur_size: int = 4
  balanced_evaluation: str = 'fixed'
  algorithm: str = 'auto'
  costs: CostTable | None = None

  def __post_init__(self) -> None:
    for field, value, choices in (
      ('padding', self.padding, padding.MODES),
      ('widths', self.widths, WIDTHS),
      ('downsampling', self.downsampling, DOWNSAMPLINGS),
      ('balanced_evaluation', self.balanced_evaluation, BALANCED_EVALUATIONS),
      ('algorithm', self.algorithm, CHOICES),
    ):
      if value not in choices:
        raise UserError(f'unknown {field} {value!r}; choose from {", ".join(choices)}')
    if self.blur_size not in range(1, LARGEST_BLUR + 1):
      raise UserError(
        f'blur_size={self.blur_size}; choose from 1 (no blur) to {LARGEST_BLUR} taps'
      )
    if self.downsampling == 'balanced' and self.widths == 'same':
      raise UserError(
        "downsampling 'balanced' draws from the slack of strided layers, and widths "
        "'same' leave none; use widths 'explicit'"
      )

  def convolution_strides(self, strides: tuple[int, int]) -> tuple[int, int]:
    """What is left to the strided layer itself of the `strides` of a block.

    (1, 1) where a `symjax.nn.Downsample` behind its nonlinearity does the rest.
    """
    return (1, 1) if self.downsampling in ('blur', 'aps') else strides

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
