"""Files of images and of their label maps, checked while they are read."""

import dataclasses
import io

import numpy as np
from PIL import Image

from symjax.errors import UserError

_MODES = ('L', 'P')  # Grey, and colours by number: the pixels are the class ids.


@dataclasses.dataclass(frozen=True)
class LabelledImage:
  """An image and the class of each of its pixels.

  Attributes:
    name: of the image's file, for messages.
    image: content of that file.
    labels: uint8 [height, width].
    labels_name: of the file with the labels, for messages.
  """

  name: str
  image: bytes
  labels: np.ndarray
  labels_name: str


def read_label_map(content: bytes, name: str) -> np.ndarray:
  """The class ids in an image file, uint8 [height, width].

  Raises:
    UserError: it is no image, or one whose pixels are not numbers of 8 bits.
  """
  image = _decoded(content, name)
  if image.mode not in _MODES:
    raise UserError(
      f'{name} is an image of mode {image.mode}: labels are class ids, in a PNG of 8 '
      'bits a pixel, grey or with a palette'
    )
  return np.asarray(image)


def encode_label_map(labels: np.ndarray) -> bytes:
  """A grey PNG of class ids, uint8 [height, width]."""
  png = io.BytesIO()
  Image.fromarray(labels).save(png, 'PNG')
  return png.getvalue()


def check(example: LabelledImage, num_classes: int, ignore_label: int | None) -> None:
  """Returns if image and labels go together.

  Raises:
    UserError: the image cannot be read, its size is another, or a label is no class.
  """
  image = _decoded(example.image, example.name)
  height, width = example.labels.shape
  if image.size != (width, height):
    raise UserError(
      f'{example.name} has {image.width}x{image.height} pixels, and '
      f'{example.labels_name} {width}x{height}: an image and its labels are equally '
      'large'
    )
  strange = unknown_label(example.labels, num_classes, ignore_label)
  if strange is not None:
    ignored = '' if ignore_label is None else f', or {ignore_label} to be ignored'
    raise UserError(
      f'{example.labels_name} has label {strange}: labels are 0 to {num_classes - 1}'
      f'{ignored}'
    )


def unknown_label(
  labels: np.ndarray, num_classes: int, ignore_label: int | None
) -> int | None:
  """The least label that is neither a class nor ignored, or None."""
  present = np.flatnonzero(np.bincount(labels.ravel(), minlength=num_classes))
  strange = [
    label for label in present if label >= num_classes and label != ignore_label
  ]
  return int(strange[0]) if strange else None


def _decoded(content: bytes, name: str) -> Image.Image:
  """An image with all of its pixels, so that a file cut short is noticed."""
  try:
    image = Image.open(io.BytesIO(content))
    image.load()
  except (OSError, SyntaxError, ValueError) as error:
    raise UserError(f'{name} cannot be read as an image ({error})') from error
  return image
