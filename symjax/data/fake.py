"""Made-up images, for trials where the real ones are absent."""

import zlib

import numpy as np

from symjax.data.dataset import Dataset

_GRID = 4  # Regions on a side of a made-up label map.


def fake_dataset(
  name: str,
  split: str,
  *,
  num_classes: int,
  image_shape: tuple[int, int, int],
  num_examples: int,
  seed: int = 0,
) -> Dataset:
  """A learnable set: each class is a coarse pattern, each image that plus noise.

  Args:
    name: of the set that this stands in for.
    split: the patterns are the same in every split, the noise is not.
    num_classes: number of classes, all equally likely.
    image_shape: [height, width, channels].
    num_examples: number of images.
    seed: of patterns and noise.
  """
  height, width, channels = image_shape
  patterns = np.random.default_rng(seed).uniform(48, 208, (num_classes, 4, 4, channels))
  rows, columns = (np.arange(side) * 4 // side for side in (height, width))
  rng = np.random.default_rng([seed, zlib.crc32(split.encode())])
  labels = rng.integers(num_classes, size=num_examples, dtype=np.int32)
  images = patterns[labels][:, rows][:, :, columns]
  images = images + rng.normal(0, 32, images.shape)
  return Dataset(
    name,
    split,
    images.clip(0, 255).astype(np.uint8),
    labels,
    num_classes,
    f'made-up images in place of {name}',
  )


def fake_segmentation(
  name: str,
  split: str,
  *,
  class_names: tuple[str, ...],
  ignore_label: int | None,
  image_shape: tuple[int, int, int],
  num_examples: int,
  seed: int = 0,
) -> Dataset:
  """A learnable set: each class is a colour, each image 4x4 patches of it plus noise.

  Args:
    name: of the set that this stands in for.
    split: the colours are the same in every split, the patches and the noise are not.
    class_names: all equally likely.
    ignore_label: of the last row of each image; None labels that as well.
    image_shape: [height, width, channels].
    num_examples: number of images.
    seed: of colours, patches and noise.
  """
  height, width, channels = image_shape
  num_classes = len(class_names)
  colours = np.random.default_rng(seed).uniform(48, 208, (num_classes, channels))
  rows, columns = (np.arange(side) * _GRID // side for side in (height, width))
  rng = np.random.default_rng([seed, zlib.crc32(split.encode())])
  size = (num_examples, _GRID, _GRID)
  labels = rng.integers(num_classes, size=size, dtype=np.uint8)[:, rows][:, :, columns]
  images = colours[labels]
  images += rng.normal(0, 32, images.shape)
  if ignore_label is not None:
    labels[:, -1] = ignore_label
  return Dataset(
    name,
    split,
    images.clip(0, 255).astype(np.uint8),
    labels,
    num_classes,
    f'made-up images in place of {name}',
    'segmentation',
    ignore_label,
    class_names,
  )
