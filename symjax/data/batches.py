"""Which examples form which batch, whatever the number of processes.

The stream of training examples is one random permutation of the split after another;
global batch `step` is the stream's part [step * B, (step + 1) * B). So every batch is
full, a batch may straddle two epochs, and each example comes once in every epoch of
the stream. Process i of n holds the i-th contiguous block of each global batch.
"""

import functools
from collections.abc import Iterator

import numpy as np

from symjax.data.dataset import Dataset
from symjax.errors import UserError

Batch = dict[str, np.ndarray]


def batch_indices(
  num_examples: int, batch_size: int, seed: int, step: int
) -> np.ndarray:
  """Which examples form global training batch `step`: int64 [batch_size]."""
  epochs, places = np.divmod(
    np.arange(step * batch_size, (step + 1) * batch_size), num_examples
  )
  indices = np.empty(batch_size, np.int64)
  for epoch in range(epochs[0], epochs[-1] + 1):
    here = epochs == epoch
    indices[here] = _permutation(num_examples, seed, epoch)[places[here]]
  return indices


def training_batches(
  dataset: Dataset,
  batch_size: int,
  seed: int,
  first_step: int,
  last_step: int,
  process_index: int = 0,
  process_count: int = 1,
) -> Iterator[Batch]:
  """One process's share of the global batches first_step ... last_step - 1.

  Args:
    dataset: the training split.
    batch_size: of the global batch, B.
    seed: of the order of examples; not negative.
    first_step: of the first batch.
    last_step: one past the last batch.
    process_index: i, of this process.
    process_count: n, of all processes.

  Yields:
    {'image': uint8 [B / n, height, width, channels], 'label': int32 [B / n], or of a
    segmentation uint8 [B / n, height, width]}.

  Raises:
    UserError: B is not a positive multiple of n, or the data set is empty.
  """
  block = _block(dataset, batch_size, process_index, process_count)
  return (
    _take(dataset, batch_indices(len(dataset.labels), batch_size, seed, step)[block])
    for step in range(first_step, last_step)
  )


def evaluation_batches(
  dataset: Dataset, batch_size: int, process_index: int = 0, process_count: int = 1
) -> Iterator[Batch]:
  """One process's share of batches that together hold each example once, in order.

  The last global batch is filled up with zeros. Every process yields equally many.

  Args:
    dataset: the split to evaluate on.
    batch_size: of the global batch, B.
    process_index: i, of this process.
    process_count: n, of all processes.

  Yields:
    As `training_batches`, and 'mask': bool [B / n], False where there is padding.

  Raises:
    UserError: as `training_batches`.
  """
  block = _block(dataset, batch_size, process_index, process_count)
  share = block.stop - block.start

  def batch(start: int) -> Batch:
    first = start + block.start
    taken = _take(dataset, slice(first, first + share))
    count = len(taken['label'])
    padded = {
      key: np.concatenate([x, np.zeros((share - count, *x.shape[1:]), x.dtype)])
      for key, x in taken.items()
    }
    return padded | {'mask': np.arange(share) < count}

  return map(batch, range(0, len(dataset.labels), batch_size))


# A batch straddles few epochs, and training and trials may take turns.
@functools.lru_cache(maxsize=4)
def _permutation(num_examples: int, seed: int, epoch: int) -> np.ndarray:
  return np.random.default_rng([seed, epoch]).permutation(num_examples)


def _take(dataset: Dataset, indices: np.ndarray | slice) -> Batch:
  return {
    'image': np.asarray(dataset.images[indices]),
    'label': np.asarray(dataset.labels[indices]),
  }


def _block(
  dataset: Dataset, batch_size: int, process_index: int, process_count: int
) -> slice:
  """The part of a global batch that one process holds."""
  if batch_size < 1 or batch_size % process_count:
    raise UserError(
      f'a batch of {batch_size} cannot be shared among {process_count} processes; '
      f'take a positive multiple of {process_count}'
    )
  if not len(dataset.labels):
    raise UserError(
      f'{dataset.name} {dataset.split} has no examples to make batches of'
    )
  share = batch_size // process_count
  return slice(process_index * share, (process_index + 1) * share)
