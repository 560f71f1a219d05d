"""Made-up images, for trials where the real ones are absent."""

import zlib

import numpy as np

from symjax.data.dataset import Dataset


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
