"""The scalars of a run as TensorBoard events."""

import os
from collections.abc import Mapping
from typing import Any

import tensorboardX


class EventWriter:
  """Writes rows of metrics as scalars; a nested dict becomes `group/name`."""

  def __init__(self, folder: str | os.PathLike[str], first_step: int) -> None:
    """Opens the folder; events past `first_step` of an earlier run are hidden."""
    self._writer = tensorboardX.SummaryWriter(
      str(folder), purge_step=first_step + 1 if first_step else None
    )

  def write(self, row: Mapping[str, Any]) -> None:
    """Adds every number of a row at its `step`."""
    step = row['step']
    for name, value in row.items():
      scalars = value if isinstance(value, Mapping) else {'': value}
      for inner, number in scalars.items():
        tag = f'{name}/{inner}' if inner else name
        if tag != 'step' and isinstance(number, int | float):
          self._writer.add_scalar(tag, number, step)
    self._writer.flush()

  def close(self) -> None:
    """Flushes and closes the file."""
    self._writer.close()
