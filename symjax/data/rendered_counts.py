"""An embedded data set: how many heads are in a picture, in the form of TFDS."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from symjax.data import count_images

NUM_EXAMPLES = {'train': 10_000, 'test': 2_000}


class RenderedCounts(tfds.core.GeneratorBasedBuilder):
  """The TFDS builder of `rendered_counts`; it downloads nothing."""

  VERSION = tfds.core.Version('1.0.0')

  def _info(self) -> tfds.core.DatasetInfo:
    size = count_images.SIZE
    return tfds.core.DatasetInfo(
      builder=self,
      description=(
        'Rendered crowds: 48x48 RGB, 0 to 9 heads of many sizes that hide parts of '
        'each other; the count is the number of heads.'
      ),
      features=tfds.features.FeaturesDict(
        {
          'image': tfds.features.Image(shape=(size, size, 3)),
          'count': tfds.features.Scalar(np.int32),
        }
      ),
      supervised_keys=('image', 'count'),
      # So that example i of a split is picture i.
      disable_shuffling=True,
    )

  def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
    del dl_manager
    return {split: self._generate_examples(split) for split in NUM_EXAMPLES}

  def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for index in range(NUM_EXAMPLES[split]):
      picture, count = rendered_count(split, index)
      # Bytes, because TFDS would need TensorFlow to encode an array.
      png = io.BytesIO()
      picture.save(png, 'PNG', compress_level=0)
      yield index, {'image': png.getvalue(), 'count': count}


def rendered_count(split: str, index: int) -> tuple[Image.Image, int]:
  """Example `index` of a split: a 48x48 RGB picture and its number of heads, 0 to 9."""
  stream = list(NUM_EXAMPLES).index(split)
  return count_images.render(np.random.default_rng([stream, index]))
