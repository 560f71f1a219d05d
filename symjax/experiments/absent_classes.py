"""Classes of which a split of a segmentation has no pixel."""

from collections.abc import Iterable, Iterator

import numpy as np

from symjax.data import Dataset


def absent_classes(dataset: Dataset) -> tuple[str, ...]:
  """Their names; none of a set whose images have one label."""
  if dataset.kind != 'segmentation':
    return ()
  pixels = sum(
    (np.bincount(labels.ravel(), minlength=256) for labels in dataset.labels),
    start=np.zeros(256, int),
  )
  return tuple(
    dataset.class_names[label] if dataset.class_names else str(label)
    for label in np.flatnonzero(pixels[: dataset.num_classes] == 0)
  )


def describe_absent(splits: Iterable[Dataset]) -> Iterator[str]:
  """A line for each split that lacks classes."""
  for dataset in splits:
    names = absent_classes(dataset)
    if names:
      yield (
        f'{dataset.name} {dataset.split} has no pixel of {", ".join(names)}: left out '
        'of the means over classes of a test, and without a weight in the loss by '
        'median frequency'
      )
