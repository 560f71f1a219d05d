"""Border modes, and PartialConv's ratio.

How much is padded (a `Window`'s widths) and with what (the mode) are separate: a
convolution pads its input and then runs without padding, so that changing the mode
never shifts the sampling grid.
"""

import jax
import jax.numpy as jnp
import numpy as np

from symjax.errors import UserError
from symjax.nn.window import Widths, Window

# Border mode -> the mode of jnp.pad that fills it. 'partial' pads zeros and rescales
# the output (`partial_ratio`); 'valid' pads nothing.
_FILLS = {
  'zero': 'constant',
  'reflect': 'reflect',
  'symmetric': 'symmetric',
  'replicate': 'edge',
  'circular': 'wrap',
  'partial': 'constant',
}
MODES = (*_FILLS, 'valid')


def pad(x: jax.Array, widths: tuple[Widths, Widths], mode: str) -> jax.Array:
  """The map `x` with a border.

  Args:
    x: [batch, height, width, channels].
    widths: ((top, bottom), (left, right)) in pixels.
    mode: one of `MODES`; 'valid' has no border to fill, so its widths must be 0.

  Returns:
    [batch, top + height + bottom, left + width + right, channels].

  Raises:
    UserError: the border is wider than the mode can fill from this map.
  """
  if widths == ((0, 0), (0, 0)):
    return x
  for side, size in zip(widths, x.shape[1:3], strict=True):
    # jnp.pad does not refuse these: it bounces to and fro.
    limit = {'reflect': size - 1, 'symmetric': size, 'circular': size}.get(mode)
    if limit is not None and max(side) > limit:
      raise UserError(
        f'{mode} padding of {max(side)} is too wide for a {x.shape[1]}x{x.shape[2]} '
        f'map (at most {limit}); use larger images or another padding'
      )
  return jnp.pad(x, ((0, 0), *widths, (0, 0)), mode=_FILLS[mode])


def partial_ratio(window: Window, size: tuple[int, int]) -> np.ndarray:
  """PartialConv's ratio: taps of the window over its taps on real pixels.

  A zero-padded convolution times this ratio is the sum over the real taps, scaled
  up to a full window (Liu et al., arXiv:1811.11718, Eq. 1-3). With a border as the
  only hole the ratio is separable and known from shapes alone: no mask is convolved,
  no epsilon is needed, and no dtype is too narrow to count in.

  Args:
    window: the convolution's.
    size: [height, width] of the map before padding.

  Returns:
    [output height, output width] float64 array; 1 in the interior, 0 where no tap
    sees a real pixel.
  """
  ratios = []
  for axis in range(2):
    inside = window.taps_inside(axis, size[axis])
    blind = np.zeros(len(inside))
    ratios.append(np.divide(window.kernel[axis], inside, out=blind, where=inside > 0))
  return np.outer(*ratios)
