"""What embedded data sets have in common: every picture is rendered from its index."""

import abc
import dataclasses
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

Render = Callable[[str, int], tuple[Image.Image, int]]


@dataclasses.dataclass(frozen=True)
class Rendering:
  """A data set that is rendered.

  Attributes:
    description: for whoever reads `dataset_info.json`.
    size: pixels of a side of the RGB pictures.
    target: what a picture's number is called.
    feature: TFDS's feature of the number.
    num_examples: split -> how many pictures it has.
    render: (split, index) -> picture and number, the same every time.
  """

  description: str
  size: int
  target: str
  feature: tfds.features.FeatureConnector
  num_examples: Mapping[str, int]
  render: Render


class RenderedBuilder(tfds.core.GeneratorBasedBuilder):
  """A TFDS builder that downloads nothing and renders its pictures."""

  @abc.abstractmethod
  def rendering(self) -> Rendering:
    """What is rendered."""

  def _info(self) -> tfds.core.DatasetInfo:
    made = self.rendering()
    return tfds.core.DatasetInfo(
      builder=self,
      description=made.description,
      features=tfds.features.FeaturesDict(
        {
          'image': tfds.features.Image(shape=(made.size, made.size, 3)),
          made.target: made.feature,
        }
      ),
      supervised_keys=('image', made.target),
      # So that example i of a split is picture i.
      disable_shuffling=True,
    )

  def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
    del dl_manager
    splits = self.rendering().num_examples
    return {split: self._generate_examples(split) for split in splits}

  def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
    made = self.rendering()
    for index in range(made.num_examples[split]):
      picture, number = made.render(split, index)
      # Bytes, because TFDS would need TensorFlow to encode an array. They are not
      # compressed, because noise does not compress.
      png = io.BytesIO()
      picture.save(png, 'PNG', compress_level=0)
      yield index, {'image': png.getvalue(), made.target: number}


def generator(
  num_examples: Mapping[str, int], split: str, index: int
) -> np.random.Generator:
  """The random numbers of one picture, which no other picture of the set shares."""
  return np.random.default_rng([list(num_examples).index(split), index])
