"""Images and label maps of any size on a canvas of one size."""

import dataclasses
from fractions import Fraction

import numpy as np
from PIL import Image

from symjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Canvas:
  """Where images and their label maps are put, so that all have one size.

  Each keeps its aspect ratio and is resized, up or down, until its shorter side has
  `shorter_side` pixels, or as far as the canvas allows: so with 520 pixels it is as
  torchvision evaluates, but for images too long for the canvas. It lies in the upper
  left corner, where strides and padding meet it as if it were alone. The rest is black
  and ignored. Images are interpolated bilinearly, antialiased; labels are the nearest.

  Attributes:
    height: in pixels.
    width: in pixels.
    shorter_side: of the images, in pixels; None makes them as large as they fit.
  """

  height: int
  width: int
  shorter_side: int | None = None

  def size(self, height: int, width: int) -> tuple[int, int]:
    """[height, width] on the canvas of an image of this size, rounded down."""
    factor = min(Fraction(self.height, height), Fraction(self.width, width))
    if self.shorter_side is not None:
      factor = min(factor, Fraction(self.shorter_side, min(height, width)))
    return max(1, int(height * factor)), max(1, int(width * factor))

  def place(
    self, image: Image.Image, labels: Image.Image, ignore_label: int | None
  ) -> tuple[np.ndarray, np.ndarray]:
    """Both on the canvas: uint8 [height, width, channels] and uint8 [height, width].

    Args:
      image: of 8 bits a channel.
      labels: of the same size.
      ignore_label: of the canvas where it shows.

    Raises:
      UserError: it shows, and there is no label for that.
    """
    height, width = size = self.size(image.height, image.width)
    if ignore_label is None and size != (self.height, self.width):
      raise UserError(
        f'an image of {image.height}x{image.width} pixels leaves a part of '
        f'{self.height}x{self.width} empty, and this data set has no label for pixels '
        'to ignore: give its own aspect ratio as data.image_size'
      )
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    pixels = pixels.reshape(height, width, -1)
    classes = np.asarray(labels.resize((width, height), Image.Resampling.NEAREST))
    rest = ((0, self.height - height), (0, self.width - width))
    return (
      np.pad(pixels, (*rest, (0, 0))),
      np.pad(classes, rest, constant_values=ignore_label or 0),
    )
