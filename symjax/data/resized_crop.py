"""A random part of an image, resized: how networks for ImageNet see their examples."""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from symjax.errors import UserError

_TRIALS = 10
_LIMIT = math.log(4 / 3)  # Of the aspect ratio, width / height, either way.


class Box(NamedTuple):
  """A rectangle of an image, in pixels."""

  top: int
  left: int
  height: int
  width: int


def require_area(area: tuple[float, float] | None) -> None:
  """Checks the least and the greatest share of an image's area.

  Raises:
    UserError: they are none.
  """
  if area is None:
    return
  numbers = len(area) == 2 and all(type(share) in (int, float) for share in area)
  if not numbers or not 0 < area[0] <= area[1] <= 1:
    raise UserError(
      f'data.crop_area={area}; give the least and the greatest share of an image, '
      'between 0 and 1, such as 0.08,1.0'
    )


def draw_box(
  rng: np.random.Generator, height: int, width: int, area: tuple[float, float]
) -> Box:
  """A random part of an image (Szegedy et al., "Going deeper with convolutions", 2015).

  Its share of the area is uniform, the logarithm of its aspect ratio is uniform between
  those of 3/4 and 4/3, and its place is uniform. What does not fit into the image is
  drawn anew; after ten draws it is the largest centred part of the nearest such
  aspect, as in torchvision's RandomResizedCrop.

  Args:
    rng: draws.
    height: of the image.
    width: of the image.
    area: the least and the greatest share.
  """
  for _ in range(_TRIALS):
    part = rng.uniform(*area) * height * width
    aspect = math.exp(rng.uniform(-_LIMIT, _LIMIT))
    rows, columns = round(math.sqrt(part / aspect)), round(math.sqrt(part * aspect))
    if 0 < rows <= height and 0 < columns <= width:
      top = int(rng.integers(height - rows + 1))
      return Box(top, int(rng.integers(width - columns + 1)), rows, columns)
  aspect = min(max(width / height, math.exp(-_LIMIT)), math.exp(_LIMIT))
  rows = min(height, max(1, round(width / aspect)))
  columns = min(width, max(1, round(height * aspect)))
  return Box((height - rows) // 2, (width - columns) // 2, rows, columns)


def resize_box(image: Image.Image, box: Box, size: tuple[int, int]) -> Image.Image:
  """The part of the image, brought to [height, width], bilinear and antialiased."""
  corners = (box.left, box.top, box.left + box.width, box.top + box.height)
  # Not by the argument `box` of resize, which lets what surrounds it bleed in.
  return image.crop(corners).resize(size[::-1], Image.Resampling.BILINEAR)
