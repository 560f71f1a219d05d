"""An embedded data set: how many heads are in a picture, in the form of TFDS."""

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from symjax.data import count_images, rendered

NUM_EXAMPLES = {'train': 10_000, 'test': 2_000}


class RenderedCounts(rendered.RenderedBuilder):
  """The TFDS builder of `rendered_counts`."""

  VERSION = tfds.core.Version('1.0.0')

  def rendering(self) -> rendered.Rendering:
    """Crowds of heads, and how many there are."""
    return rendered.Rendering(
      description=(
        'Rendered crowds: 48x48 RGB, 0 to 9 heads of many sizes that hide parts of '
        'each other; the count is the number of heads.'
      ),
      size=count_images.SIZE,
      target='count',
      feature=tfds.features.Scalar(np.int32),
      num_examples=NUM_EXAMPLES,
      render=rendered_count,
    )


def rendered_count(split: str, index: int) -> tuple[Image.Image, int]:
  """Example `index` of a split: a 48x48 RGB picture and its number of heads, 0 to 9."""
  return count_images.render(rendered.generator(NUM_EXAMPLES, split, index))
