"""Records on disk: JSON files that appear whole, and logs that only grow."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from symjax.errors import UserError


def write_json(path: str | os.PathLike[str], value: Any) -> None:
  """Writes `value` whole or not at all.

  Raises:
    ValueError: a NaN or an infinity, which JSON does not have.
    OSError: the file cannot be written.
  """
  text = json.dumps(value, indent=2, allow_nan=False) + '\n'
  write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
  """Writes under a temporary name, then renames: never half a file.

  Raises:
    OSError: the file cannot be written, naming it.
  """
  path = Path(path)
  temporary = path.with_name(f'.{path.name}.{os.getpid()}')
  try:
    with _naming(path):
      temporary.write_bytes(content)
      os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)


def read_json(path: str | os.PathLike[str]) -> Any:
  """The value in a JSON file.

  Raises:
    UserError: the file is missing or is not JSON.
  """
  try:
    return json.loads(Path(path).read_text())
  except FileNotFoundError:
    raise UserError(f'{path} does not exist') from None
  except ValueError as error:
    raise UserError(f'{path} is not JSON ({error})') from None


def read_object(path: str | os.PathLike[str], *keys: str) -> dict[str, Any]:
  """The object in a JSON file.

  Raises:
    UserError: the file is missing, or holds no object with these keys.
  """
  value = read_json(path)
  if not isinstance(value, dict) or not value.keys() >= set(keys):
    raise UserError(
      f'{path} holds no JSON object{" with " * bool(keys)}{", ".join(keys)}'
    )
  return value


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
  """Lets an error of the operating system say which file it is about."""
  try:
    yield
  except OSError as error:
    raise OSError(error.errno, error.strerror, str(path)) from error


class Log:
  """A log of one JSON object a line, each with its `step`."""

  def __init__(self, path: str | os.PathLike[str]) -> None:
    self.path = Path(path)

  def append(self, row: Mapping[str, Any]) -> None:
    """Adds one line and hands it to the operating system."""
    line = json.dumps(row, allow_nan=False) + '\n'
    with _naming(self.path), open(self.path, 'a+b') as file:
      # A crash may have torn the last line: close it, so that only it is lost.
      if file.tell() > 0:
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b'\n':
          line = '\n' + line
      file.write(line.encode())

  def read(self) -> list[dict[str, Any]]:
    """The rows, in the order of their steps.

    A resumed run repeats the steps since its checkpoint: of rows with the same step
    and the same keys the last one counts. Torn lines are dropped.
    """
    rows: dict[tuple[int, tuple[str, ...]], dict[str, Any]] = {}
    for row in self._lines():
      rows[row['step'], tuple(sorted(row))] = row
    return sorted(rows.values(), key=lambda row: row['step'])

  def _lines(self) -> Iterator[dict[str, Any]]:
    if not self.path.exists():
      return
    for line in self.path.read_bytes().splitlines():
      try:
        row = json.loads(line)
      except ValueError:
        continue
      if isinstance(row, dict) and isinstance(row.get('step'), int):
        yield row
