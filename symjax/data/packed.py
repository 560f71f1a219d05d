"""Files by name, whether they lie in a folder or still in the archive they came in."""

import dataclasses
import pathlib
import tarfile
import zipfile
from collections.abc import Callable

from symjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Files:
  """Files that are read by their paths below one place.

  Attributes:
    place: a folder or an archive, for messages.
    contains: whether there is a file of this path.
    read: its content.
  """

  place: pathlib.Path
  contains: Callable[[str], bool]
  read: Callable[[str], bytes]


@dataclasses.dataclass(frozen=True)
class Source:
  """A part of what a data set is made from, which a person downloads.

  Attributes:
    path: of a file or folder below `manual_dir`.
    url: where to get it.
    archive: a tar or zip file in `manual_dir` that unpacks to `path`, and is read where
      that is absent; None where nobody publishes one.
    size: of the archive, in bytes.
    sha256: of the archive, in hex.
  """

  path: str
  url: str
  archive: str | None = None
  size: int | None = None
  sha256: str | None = None

  def files(self, manual_dir: pathlib.Path) -> Files:
    """The files below `path`, by their paths from there.

    Raises:
      UserError: the archive is damaged.
    """
    folder = manual_dir / self.path
    if self.archive is None or folder.is_dir():
      return in_folder(folder)
    packed = manual_dir / self.archive
    open_archive = _in_zip if packed.suffix == '.zip' else _in_tar
    try:
      return open_archive(packed, f'{self.path}/')
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
      raise UserError(
        f'{packed} cannot be read or is not whole ({error}): get {self.url}'
      ) from error


def in_folder(folder: pathlib.Path) -> Files:
  """The files in a folder and below it."""
  return Files(
    folder,
    lambda name: (folder / name).is_file(),
    lambda name: (folder / name).read_bytes(),
  )


def _in_zip(path: pathlib.Path, prefix: str) -> Files:
  archive = zipfile.ZipFile(path)
  names = frozenset(archive.namelist())
  return Files(
    path, lambda name: prefix + name in names, lambda name: archive.read(prefix + name)
  )


def _in_tar(path: pathlib.Path, prefix: str) -> Files:
  with tarfile.open(path, 'r:') as archive:  # Not compressed: a file is a piece of it.
    members = {member.name: member for member in archive if member.isfile()}

  def read(name: str) -> bytes:
    member = members[prefix + name]
    with open(path, 'rb') as file:
      file.seek(member.offset_data)
      return file.read(member.size)

  return Files(path, lambda name: prefix + name in members, read)
