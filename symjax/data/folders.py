"""Where data lie, and where they may be written."""

import os
import pathlib
import stat

from tensorflow_datasets.core import constants


def data_directory(data_dir: str | None) -> pathlib.Path:
  """The folder of TFDS data sets: the given one, else the default of TFDS."""
  return pathlib.Path(data_dir or constants.DATA_DIR).expanduser()


def manual_directory(data_dir: pathlib.Path, manual_dir: str | None) -> pathlib.Path:
  """The folder of files downloaded by hand: the given one, else that of TFDS."""
  if manual_dir is None:
    return data_dir / 'downloads' / 'manual'
  return pathlib.Path(manual_dir).expanduser()


def user_cache() -> pathlib.Path:
  """This project's part of the user's cache folder."""
  given = os.environ.get('XDG_CACHE_HOME')
  return (pathlib.Path(given) if given else pathlib.Path.home() / '.cache') / 'symjax'


def writable(folder: pathlib.Path) -> bool:
  """Whether files may be made in a folder, or in the one where it would be made.

  Root may write anywhere; but a folder that nobody has leave to write is respected.
  """
  while not folder.exists():
    folder = folder.parent
  bits = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
  return bool(folder.stat().st_mode & bits) and os.access(folder, os.W_OK)
