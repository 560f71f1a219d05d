"""Data sets made from another one: its images, changed or chosen."""

import dataclasses
import re
import zlib
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from symjax.data import count_images
from symjax.data.cache import Arrays
from symjax.data.positioned_digits import positioned
from symjax.errors import UserError
from symjax.progress import progress


@dataclasses.dataclass(frozen=True)
class Derived:
  """How a data set is made from another one.

  Attributes:
    source: the name of the other set, as TFDS writes it; its images have one size.
    version: in the name of the cache; to be raised when `make` comes to give other
      images or labels.
    description: what the set is, in one line.
    num_classes: labels lie in 0 ... num_classes - 1.
    make: (split, images, labels) of the source -> images and labels, uint8 [examples,
      height, width, channels] and int32 [examples]; the same every time.
  """

  source: str
  version: int
  description: str
  num_classes: int
  make: Callable[[str, np.ndarray, np.ndarray], Arrays]


def find(name: str) -> Derived | None:
  """How the data set `name` is made, or None if it is not made from another one.

  Raises:
    UserError: a config or version is asked for; these sets have none.
  """
  set_name = re.split('[/:]', name)[0]
  if set_name in DERIVED and name != set_name:
    raise UserError(
      f'{set_name} has no configs and versions: write {set_name!r} for {name!r}'
    )
  return DERIVED.get(name)


def source_of(name: str) -> str:
  """The set that has to be prepared for `name`: the one that it is made from, or it.

  Raises:
    UserError: as `find`.
  """
  recipe = find(name)
  return recipe.source if recipe else name


def angles(split: str, count: int) -> np.ndarray:
  """[count] the angles of `rotated_mnist`, in radians, uniform in [0, 2 pi)."""
  return np.random.default_rng(zlib.crc32(split.encode())).uniform(0, 2 * np.pi, count)


def rotate(image: np.ndarray, angle: float) -> np.ndarray:
  """The image turned about its centre, anticlockwise as it is seen.

  A pixel is the bilinear interpolation of the four around the point that it comes
  from, rounded; outside of the image all is 0. Quarter turns are those of `np.rot90`.

  Args:
    image: uint8 [height, width, channels].
    angle: in radians.
  """
  cosine, sine = np.cos(angle), np.sin(angle)
  back = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
  centre = (np.array(image.shape) - 1) / 2
  turned = ndimage.affine_transform(
    image,
    back,
    centre - back @ centre,
    output=np.float64,
    order=1,
    mode='grid-constant',
  )
  return np.rint(turned).astype(np.uint8)


def _rotated(split: str, images: np.ndarray, labels: np.ndarray) -> Arrays:
  """Each image turned by its own angle, under its label."""
  turned = np.empty_like(images)
  turns = angles(split, len(images))
  for i in progress(range(len(images)), f'turning mnist {split}'):
    turned[i] = rotate(images[i], turns[i])
  return turned, labels


def _sixes_and_nines(split: str, images: np.ndarray, labels: np.ndarray) -> Arrays:
  """The sixes under label 0 and the nines under label 1, in their order."""
  del split
  kept = np.flatnonzero((labels == 6) | (labels == 9))
  return images[kept], (labels[kept] == 9).astype(np.int32)


DERIVED = {
  'rotated_mnist': Derived(
    source='mnist',
    version=1,
    description=(
      'MNIST, each digit turned about the centre of its image by an angle of its own, '
      'uniform over the circle, with bilinear interpolation; made by symjax from mnist.'
    ),
    num_classes=10,
    make=_rotated,
  ),
  'mnist_six_nine': Derived(
    source='mnist',
    version=1,
    description=(
      'The sixes (class 0) and nines (class 1) of MNIST, upright; chosen by symjax '
      'from mnist.'
    ),
    num_classes=2,
    make=_sixes_and_nines,
  ),
  'rendered_count_classes': Derived(
    source='rendered_counts',
    version=1,
    description=(
      'The images of rendered_counts, in ten classes by their count; made by symjax '
      'from rendered_counts.'
    ),
    num_classes=count_images.MOST + 1,
    make=lambda split, images, labels: (images, labels),
  ),
  'positioned_mnist': Derived(
    source='mnist',
    version=1,
    description=(
      'MNIST, the middle 20x20 pixels of each image at a random place of a black '
      'canvas of 40x40; the label is the quadrant of its centre; made by symjax from '
      'mnist.'
    ),
    num_classes=4,
    make=positioned,
  ),
}
