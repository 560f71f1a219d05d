"""Digits on a larger canvas, labelled by where they are: `positioned_mnist`."""

import zlib

import numpy as np

DIGIT = 20  # Pixels: MNIST's digits fill such a box at the centre of their image.
CANVAS = 40
# Left and upper ends of a digit in the first and in the second half. Each has one of
# every eight neighbouring pixels: the grid of a stride of 2, 4 or 8 tells nothing.
NEAR = np.arange(8)
FAR = np.arange(13, 21)


def places(split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
  """Where the digits of a split are put, the same every time.

  Returns:
    [count, 2] upper left corners (down, right), in pixels of the canvas, uniform over
    `NEAR` and `FAR`; and int32 [count] quadrants of the digits' centres: 0 upper left,
    1 upper right, 2 lower left, 3 lower right.
  """
  rng = np.random.default_rng(zlib.crc32(split.encode()))
  far = rng.integers(2, size=(count, 2))
  steps = rng.integers(len(NEAR), size=(count, 2))
  corners = np.where(far == 1, FAR[steps], NEAR[steps])
  return corners, (2 * far[:, 0] + far[:, 1]).astype(np.int32)


def positioned(
  split: str, images: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """The centre of every image on a black canvas, under the quadrant that it is put in.

  What a digit is says nothing of where it is. Nor does any function of the image that
  a circular translation by a multiple of 8 pixels leaves as it is: each image of one
  quadrant is, so moved, an equally likely image of every other one.

  Args:
    split: 'train' or 'test'; decides the places.
    images: uint8 [examples, height, width, channels], at least `DIGIT` pixels a side.
    labels: [examples], which do not count.

  Returns:
    uint8 [examples, CANVAS, CANVAS, channels] images and int32 [examples] quadrants.
  """
  del labels
  count, height, width, channels = images.shape
  top, left = (height - DIGIT) // 2, (width - DIGIT) // 2
  digits = images[:, top : top + DIGIT, left : left + DIGIT]
  canvas = np.zeros((count, CANVAS, CANVAS, channels), np.uint8)
  corners, quadrants = places(split, count)
  for picture, digit, (down, right) in zip(canvas, digits, corners, strict=True):
    picture[down : down + DIGIT, right : right + DIGIT] = digit
  return canvas, quadrants
