"""Batches made ready by a thread while the device works."""

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar('T')
S = TypeVar('S')


@contextlib.contextmanager
def prefetch(
  items: Iterable[T], transfer: Callable[[T], S], depth: int = 2
) -> Iterator[Iterator[S]]:
  """Applies `transfer` to the items in a thread, ahead of their use.

    with prefetch(batches, to_device) as placed:
      for batch in placed: ...

  An exception of `items` or `transfer` is raised where the item would have come. On
  leaving, the thread ends after at most the item that it is working on.

  Args:
    items: consumed in the thread only.
    transfer: for instance, a copy to the devices.
    depth: how many finished items may wait; positive.

  Yields:
    The iterator over the results, in order.
  """
  finished: queue.Queue[tuple[str, Any]] = queue.Queue(depth)
  stopped = threading.Event()

  def work() -> None:
    try:
      for item in items:
        finished.put(('item', transfer(item)))
        if stopped.is_set():
          return
      finished.put(('end', None))
    except BaseException as error:
      finished.put(('error', error))
    finally:
      if isinstance(items, Generator):
        items.close()  # By the thread that runs it, with all that it holds.

  def results() -> Iterator[S]:
    while True:
      kind, value = finished.get()
      if kind == 'end':
        return
      if kind == 'error':
        raise value
      yield value

  # A daemon, so that an interpreter that exits within the block need not wait for it.
  thread = threading.Thread(target=work, name='prefetch', daemon=True)
  thread.start()
  try:
    yield results()
  finally:
    stopped.set()
    # Once the flag is up, the thread puts at most one thing more: make room for it.
    with contextlib.suppress(queue.Empty):
      while True:
        finished.get_nowait()
    thread.join()
