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
    items: the pieces of the job.
    job: what it is, such as 'decoding mnist train'.
  """
  if sys.stderr.isatty():
    yield from tqdm.tqdm(items, job)
    return
  start = last = time.monotonic()
  for count, item in enumerate(items):
    if time.monotonic() - last > _SECONDS_BETWEEN_LINES:
      print(f'{job}: {count / len(items):.0%}', file=sys.stderr)
      last = time.monotonic()
    yield item
  print(f'{job}: done in {time.monotonic() - start:.1f} s', file=sys.stderr)
