"""The batches of a split: for training in random order, for evaluation in its own."""

from collections.abc import Generator, Iterator

import numpy as np

from symjax.data.dataset import Dataset
from symjax.data.order import batch_indices, process_block
from symjax.data.stream import Stream
from symjax.data.streaming import streamed_batches
from symjax.errors import UserError

Batch = dict[str, np.ndarray]


def training_batches(
  split: Dataset | Stream,
  batch_size: int,
  seed: int,
  first_step: int,
  last_step: int,
  process_index: int = 0,
  process_count: int = 1,
) -> Generator[Batch]:
  """One process's share of the global batches first_step ... last_step - 1.

  Which examples these are is told by `symjax.data.order`, for a stream as for a split
  in memory.

  Args:
    split: for training.
    batch_size: of the global batch, B.
    seed: of the order of examples, and of the crops of a stream; not negative.
    first_step: of the first batch.
    last_step: one past the last batch.
    process_index: i, of this process.
    process_count: n, of all processes.

  Yields:
    {'image': uint8 [B / n, height, width, channels], 'label': int32 [B / n], or of a
    segmentation uint8 [B / n, height, width]}.

  Raises:
    UserError: B is not a positive multiple of n, or the data set is empty; while
      iterating over a stream, a record is damaged, or a process that reads it died.
  """
  block = process_block(batch_size, process_index, process_count)
  _require_examples(split)
  if isinstance(split, Stream):
    return streamed_batches(split, batch_size, seed, first_step, last_step, block)
  return (
    _take(split, batch_indices(len(split), batch_size, seed, step)[block])
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
  block = process_block(batch_size, process_index, process_count)
  _require_examples(dataset)
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

  return map(batch, range(0, len(dataset), batch_size))


def _take(dataset: Dataset, indices: np.ndarray | slice) -> Batch:
  return {
    'image': np.asarray(dataset.images[indices]),
    'label': np.asarray(dataset.labels[indices]),
  }


def _require_examples(split: Dataset | Stream) -> None:
  if not len(split):
    raise UserError(f'{split.name} {split.split} has no examples to make batches of')
