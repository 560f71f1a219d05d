"""The batches of a stream, made by other processes while the devices work."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator

import numpy as np
from absl import flags

from symjax.data.stream import Stream
from symjax.errors import UserError

_AHEAD = 2  # Finished batches that each process keeps ready.
_MOST_PROCESSES = 64


@dataclasses.dataclass(frozen=True)
class _Make:
  """Makes the batch of a step; a process of the loader gets a copy of this."""

  stream: Stream
  batch_size: int
  seed: int
  block: slice

  def __call__(self, step: int) -> dict[str, np.ndarray]:
    return self.stream.batch(self.batch_size, self.seed, int(step), self.block)


def streamed_batches(
  stream: Stream,
  batch_size: int,
  seed: int,
  first_step: int,
  last_step: int,
  block: slice,
) -> Iterator[dict[str, np.ndarray]]:
  """A part of each of the global batches first_step ... last_step - 1.

  One process for each core makes whole batches, in turns; their number has no influence
  on what the batches hold.

  Args:
    stream: the training split.
    batch_size: of the global batch.
    seed: of the order of examples, and of their crops.
    first_step: of the first batch.
    last_step: one past the last batch.
    block: the part of a global batch.

  Yields:
    As `Stream.batch`.

  Raises:
    UserError: a record is damaged, or a process died.
  """
  import grain  # It takes a second, and most programs stream nothing.

  # Grain looks at flags of its own, which exist only once somebody has parsed any.
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()
  batches = (
    grain.MapDataset.range(first_step, last_step)
    .map(_Make(stream, batch_size, seed, block))
    .to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=1))
    .mp_prefetch(
      grain.MultiprocessingOptions(
        num_workers=min(os.cpu_count() or 1, _MOST_PROCESSES, last_step - first_step),
        per_worker_buffer_size=_AHEAD,
      )
    )
  )
  with contextlib.closing(iter(batches)) as iterator:
    while True:
      try:
        batch = next(iterator)
      except StopIteration:
        return
      except RuntimeError as error:
        raise UserError(
          f'a process that decodes images of {stream.name} died '
          f'({" ".join(str(error).split())}), perhaps for want of memory; the same '
          'command goes on from the last checkpoint'
        ) from error
      # Out of shared memory: what is left there when Python ends is complained about.
      yield {name: np.array(array) for name, array in batch.items()}
