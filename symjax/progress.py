"""How far a long job is, on stderr."""

import sys
import time
from collections.abc import Collection, Iterator
from typing import TypeVar

import tqdm

T = TypeVar('T')
_SECONDS_BETWEEN_LINES = 10


def progress(items: Collection[T], job: str) -> Iterator[T]:
  """Passes on `items`: with a bar on a terminal, else with plain lines now and then.

  Args:
    items: the pieces of the job; it may end before the last.
    job: what it is, such as 'decoding mnist train'.
  """
  if sys.stderr.isatty():
    yield from tqdm.tqdm(items, job)
    return
  start = last = time.monotonic()
  begun = 0
  try:
    for item in items:
      now = time.monotonic()
      if begun and now - last > _SECONDS_BETWEEN_LINES:
        left = (now - start) / begun * (len(items) - begun)
        _print(f'{job}: {begun} of {len(items)}, {left:.0f} s left at most')
        last = now
      begun += 1
      yield item
  finally:
    _print(f'{job}: {begun} of {len(items)} in {time.monotonic() - start:.1f} s')


def _print(line: str) -> None:
  print(line, file=sys.stderr, flush=True)
