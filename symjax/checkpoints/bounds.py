"""What a file declares, held against what it has, before anything is allocated."""

import math
from collections.abc import Sequence
from typing import Any


def require_size(name: str, shape: Sequence[Any], itemsize: int, size: int) -> None:
  """Refuses an array whose shape does not make the bytes that are there.

  Args:
    name: of the array.
    shape: as declared; anything may stand there.
    itemsize: bytes of an element.
    size: bytes that the file has for it.

  Raises:
    ValueError: naming the array.
  """
  if not all(is_count(side) for side in shape):
    raise ValueError(f'its array {name} has no shape but {list(shape)}')
  declared = math.prod(shape) * itemsize
  if declared != size:
    raise ValueError(
      f'its array {name} declares the shape {list(shape)}, which takes {declared} '
      f'bytes; it has {size}'
    )


def is_count(value: Any) -> bool:
  """Whether a value that a file declares is a whole number from 0."""
  return type(value) is int and value >= 0
