"""The embedded data set: rendered house-number digits, in the form of TFDS."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from symjax.data import digit_images

NUM_EXAMPLES = {'train': 20_000, 'test': 4_000}


class RenderedDigits(tfds.core.GeneratorBasedBuilder):
  """The TFDS builder of `rendered_digits`; it downloads nothing."""

  VERSION = tfds.core.Version('1.0.0')

  def _info(self) -> tfds.core.DatasetInfo:
    size = digit_images.SIZE
    return tfds.core.DatasetInfo(
      builder=self,
      description=(
        'Rendered house-number digits, a cousin of SVHN: 32x32 RGB, the label is '
        'the digit at the centre.'
      ),
      features=tfds.features.FeaturesDict(
        {
          'image': tfds.features.Image(shape=(size, size, 3)),
          'label': tfds.features.ClassLabel(num_classes=10),
        }
      ),
      supervised_keys=('image', 'label'),
      # So that example i of a split is picture i.
      disable_shuffling=True,
    )

  def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
    del dl_manager
    return {split: self._generate_examples(split) for split in NUM_EXAMPLES}

  def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for index in range(NUM_EXAMPLES[split]):
      picture, label = rendered_digit(split, index)
      # Bytes, because TFDS would need TensorFlow to encode an array. They are not
      # compressed, because noise does not compress.
      png = io.BytesIO()
      picture.save(png, 'PNG', compress_level=0)
      yield index, {'image': png.getvalue(), 'label': label}


def rendered_digit(split: str, index: int) -> tuple[Image.Image, int]:
  """Example `index` of a split: a 32x32 RGB picture and its label, 0 to 9."""
  stream = list(NUM_EXAMPLES).index(split)
  return digit_images.render(np.random.default_rng([stream, index]))
