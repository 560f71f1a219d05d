"""Classes of which a split of a segmentation has no pixel."""

from collections.abc import Iterator

import numpy as np

from symjax.data import Dataset, Stream
from symjax.experiments.data import Splits

# What it means for a run, by the split that lacks a class.
_CONSEQUENCES = {
  'train': 'nothing of it can be learned, and by median frequency it weighs nothing',
  'test': 'it is left out of the means over classes',
}


def absent_classes(dataset: Dataset | Stream) -> tuple[str, ...]:
  """Their names; none of a set whose images have one label."""
  if isinstance(dataset, Stream) or dataset.kind != 'segmentation':
    return ()
  pixels = sum(
    (np.bincount(labels.ravel(), minlength=256) for labels in dataset.labels),
    start=np.zeros(256, int),
  )
  return tuple(
    dataset.class_names[label] if dataset.class_names else str(label)
    for label in np.flatnonzero(pixels[: dataset.num_classes] == 0)
  )


def describe_absent(splits: Splits) -> Iterator[str]:
  """A line for each class that the training or the test split lacks."""
  for role, dataset in splits._asdict().items():
    for name in absent_classes(dataset):
      yield (
        f'{dataset.name} {dataset.split} has no pixel of class {name}: '
        f'{_CONSEQUENCES[role]}'
      )
