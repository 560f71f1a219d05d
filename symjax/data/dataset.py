"""A split of a set of labelled images, decoded."""

import dataclasses
from typing import Literal

import numpy as np

Kind = Literal['classification', 'counting', 'segmentation']


@dataclasses.dataclass(frozen=True)
class Dataset:
  """A split of a set of labelled images, decoded.

  Attributes:
    name: of the data set, as TFDS writes it.
    split: such as 'train'.
    images: uint8 [examples, height, width, channels], read-only, mapped from disk.
    labels: read-only. int32 [examples]; of a segmentation, uint8
      [examples, height, width], one class a pixel.
    num_classes: labels lie in 0 ... num_classes - 1; 1 where they are counts, of which
      a network gives one number.
    description: what the prepared data say of themselves, in one line; a set that is
      only a part of the official one says so here.
    kind: what labels are: classes of images, counts of what an image shows, or classes
      of pixels.
    ignore_label: of pixels that have no class and count for nothing; None where each
      has one.
    class_names: in the order of the labels; empty where the classes have no names.
  """

  name: str
  split: str
  images: np.ndarray
  labels: np.ndarray
  num_classes: int
  description: str
  kind: Kind = 'classification'
  ignore_label: int | None = None
  class_names: tuple[str, ...] = ()

  def __len__(self) -> int:
    """The number of examples."""
    return len(self.labels)

  @property
  def image_shape(self) -> tuple[int, int, int]:
    """[height, width, channels] of every image."""
    return self.images.shape[1:]
