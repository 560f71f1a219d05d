"""What the processes of a run tell each other before they compute together."""

import contextlib
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

from symjax.errors import UserError


def gather_text(text: str) -> list[str]:
  """The text of every process, in their order; every process calls this."""
  if jax.process_count() == 1:
    return [text]
  content = np.frombuffer(text.encode(), np.uint8)
  sizes = multihost_utils.process_allgather(np.array([content.size], np.int32))
  padded = np.zeros(sizes.max(), np.uint8)
  padded[: content.size] = content
  rows = multihost_utils.process_allgather(padded)
  return [
    row[:size].tobytes().decode() for row, size in zip(rows, sizes[:, 0], strict=True)
  ]


@contextlib.contextmanager
def together() -> Iterator[None]:
  """Lets what fails on one process fail on all, where they would wait for it.

  What happens within must not need the other processes.

  Raises:
    UserError: on every process, if one raised it or an `OSError`; its own on those
      that did.
  """
  failure: Exception | None = None
  try:
    yield
  except (OSError, UserError) as error:
    failure = error
  lines = gather_text(_line(failure) if failure else '')
  if failure:
    raise failure
  for index, line in enumerate(lines):
    if line:
      raise UserError(f'process {index} stopped: {line}')


def _line(failure: Exception) -> str:
  if isinstance(failure, OSError) and failure.filename:
    return f'{failure.filename}: {failure.strerror}'
  return str(failure)
