"""Which examples form which batch, whatever the number of processes.

The stream of training examples is one random permutation of the split after another;
global batch `step` is the stream's part [step * B, (step + 1) * B). So every batch is
full, a batch may straddle two epochs, and each example comes once in every epoch of
the stream. Process i of n holds the i-th contiguous block of each global batch.
"""

import functools

import numpy as np

from symjax.errors import UserError


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


def process_block(batch_size: int, process_index: int, process_count: int) -> slice:
  """The part of a global batch that one process holds.

  Raises:
    UserError: the batch cannot be shared equally.
  """
  if batch_size < 1 or batch_size % process_count:
    raise UserError(
      f'a batch of {batch_size} cannot be shared among {process_count} processes; '
      f'take a positive multiple of {process_count}'
    )
  share = batch_size // process_count
  return slice(process_index * share, (process_index + 1) * share)


# A batch straddles few epochs, and training and trials may take turns.
@functools.lru_cache(maxsize=4)
def _permutation(num_examples: int, seed: int, epoch: int) -> np.ndarray:
  return np.random.default_rng([seed, epoch]).permutation(num_examples)
