"""Members of a zip file, read without trusting the sizes that it declares."""

import contextlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

# DEFLATE cannot shrink anything further, so more is a lie.
LARGEST_RATIO = 1032
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Archive:
  """An open zip file."""

  def __init__(self, file: zipfile.ZipFile) -> None:
    self._file = file
    self.names = file.namelist()

  def read(self, name: str) -> bytes:
    """The content of a member, whose checksum is compared.

    Raises:
      ValueError: there is no such member, it is compressed in another way than by
        DEFLATE, or it declares more bytes than it can hold.
      zipfile.BadZipFile: it is damaged.
    """
    if name not in self.names:
      raise ValueError(f'it has no member {name}')
    info = self._file.getinfo(name)
    if info.compress_type not in _READABLE:
      raise ValueError(f'its member {name} is compressed in an unusual way')
    if info.file_size > LARGEST_RATIO * info.compress_size:
      raise ValueError(
        f'its member {name} declares {info.file_size} bytes, more than '
        f'{info.compress_size} compressed ones can hold'
      )
    return self._file.read(info)


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
  """Opens a zip file.

  Raises:
    ValueError: it is none, or damaged.
    OSError: it cannot be opened.
  """
  with open(path, 'rb') as content:
    try:
      file = zipfile.ZipFile(content)
    # It looks for the directory of the file in places that are not there.
    except (zipfile.BadZipFile, OSError):
      raise ValueError('it is no whole zip file; it may be truncated') from None
    with file:
      yield Archive(file)
