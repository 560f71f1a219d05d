"""The channels of a network that is narrower or wider than the published one."""

import math

from symjax.errors import UserError


def scale(published: int, width: float) -> int:
  """Channels of a layer with `published` ones, at `width` times these."""
  return round(published * width)


def require_channels(width: float, fewest: int) -> None:
  """Refuses a width that leaves a layer without channels.

  Args:
    width: multiplies the channels of every layer.
    fewest: channels of the narrowest layer as published.

  Raises:
    UserError: naming the narrowest width that there is.
  """
  if not 1 / fewest <= width < math.inf:
    raise UserError(
      f'width {width} leaves the first layer without channels; the narrowest is '
      f'{1 / fewest}'
    )
