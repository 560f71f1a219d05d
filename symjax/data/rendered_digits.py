"""The embedded data set: rendered house-number digits, in the form of TFDS."""

import tensorflow_datasets as tfds
from PIL import Image

from symjax.data import digit_images, rendered

NUM_EXAMPLES = {'train': 20_000, 'test': 4_000}


class RenderedDigits(rendered.RenderedBuilder):
  """The TFDS builder of `rendered_digits`."""

  VERSION = tfds.core.Version('1.0.0')

  def rendering(self) -> rendered.Rendering:
    """House-number digits, and which digit is at the centre."""
    return rendered.Rendering(
      description=(
        'Rendered house-number digits, a cousin of SVHN: 32x32 RGB, the label is '
        'the digit at the centre.'
      ),
      size=digit_images.SIZE,
      target='label',
      feature=tfds.features.ClassLabel(num_classes=10),
      num_examples=NUM_EXAMPLES,
      render=rendered_digit,
    )


def rendered_digit(split: str, index: int) -> tuple[Image.Image, int]:
  """Example `index` of a split: a 32x32 RGB picture and its label, 0 to 9."""
  return digit_images.render(rendered.generator(NUM_EXAMPLES, split, index))
