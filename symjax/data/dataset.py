"""A split of an image classification set, decoded."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Dataset:
  """A split of an image classification set, decoded.

  Attributes:
    name: of the data set, as TFDS writes it.
    split: such as 'train'.
    images: uint8 [examples, height, width, channels], read-only, mapped from disk.
    labels: int32 [examples], read-only.
    num_classes: labels lie in 0 ... num_classes - 1.
    description: what the prepared data say of themselves, in one line; a set that is
      only a part of the official one says so here.
  """

  name: str
  split: str
  images: np.ndarray
  labels: np.ndarray
  num_classes: int
  description: str
