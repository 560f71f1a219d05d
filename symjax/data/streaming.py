"""The batches of a stream, made by other processes while the devices work."""

import dataclasses
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Generator

import numpy as np
from absl import flags

from symjax.data.memory import physical_memory
from symjax.data.stream import Stream
from symjax.errors import UserError

_AHEAD = 2  # Finished batches that each process keeps ready.
_MOST_PROCESSES = 64
# For grain's thread that frees shared memory: nothing joins it, and what is left when
# Python ends is complained about.
_SECONDS_TO_FREE = 0.5


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
) -> Generator[dict[str, np.ndarray]]:
  """A part of each of the global batches first_step ... last_step - 1.

  Other processes make whole batches, in turns; their number has no influence on what
  the batches hold. They are spawned, so a script that iterates needs the guard `if
  __name__ == '__main__'`, and an iterator that is left early is to be closed. Flags of
  absl that nobody has parsed yet count as parsed from here on.

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
        num_workers=min(loader_processes(stream, block), last_step - first_step),
        per_worker_buffer_size=_AHEAD,
      ),
      _stay_with_parent,
    )
  )
  iterator = iter(batches)
  try:
    while (batch := next(iterator, None)) is not None:
      # Copied, so that shared memory is free again at once.
      yield {name: np.array(array) for name, array in batch.items()}
  except RuntimeError as error:
    raise UserError(
      f'a process that decodes images of {stream.name} died '
      f'({" ".join(str(error).split())}), perhaps for want of memory, or of shared '
      'memory in /dev/shm; the same command goes on from the last checkpoint'
    ) from error
  finally:
    batch = None
    iterator.close()
    time.sleep(_SECONDS_TO_FREE)


def loader_processes(stream: Stream, block: slice) -> int:
  """One for each core that may be used, as far as their batches find room.

  Those wait in shared memory; they may take an eighth of the machine's memory.
  """
  cores = (
    len(os.sched_getaffinity(0))
    if hasattr(os, 'sched_getaffinity')  # Not on macOS.
    else os.cpu_count() or 1
  )
  batch = (block.stop - block.start) * math.prod(stream.image_shape)
  room = physical_memory() // 8 // (batch * (_AHEAD + 1))
  return max(1, min(cores, room, _MOST_PROCESSES))


def _stay_with_parent(index: int, count: int) -> None:
  """Has a process of the loader live as long as the run, and no longer.

  Signals are for the run, which may still want batches; one that is killed can tell
  nobody to end.
  """
  del index, count
  for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
  threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
  parent = multiprocessing.parent_process()
  assert parent is not None
  parent.join()
  os._exit(1)
