"""Preparing a data set that is not there yet, or saying at once what it lacks."""

import contextlib
import errno
import fcntl
import importlib.util
import io
import os
import pathlib
import sys
from collections.abc import Iterator

import tensorflow_datasets as tfds

from symjax.data import builders, prepared
from symjax.data.folders import manual_directory, writable
from symjax.data.reachability import reachable
from symjax.data.requirements import RequiredFile, required_files
from symjax.data.segmentation import SegmentationBuilder
from symjax.errors import UserError


def prepare(
  name: str, data_dir: pathlib.Path, manual_dir: str | None
) -> tfds.core.DatasetBuilder:
  """Prepares a data set under `data_dir`, in array_record format.

  This project's own sets are rendered, or made of files that a person downloads; stock
  ones take files and TensorFlow. Several processes may call this at once: one works,
  the others wait for it.

  Returns:
    A builder that reads the set.

  Raises:
    UserError: unknown or unsuitable set, files that are missing, damaged or cannot be
      downloaded, a library missing, a folder that cannot be written.
  """
  builder = builders.make_builder(name, data_dir)
  prepared.labelled(builder.info)
  check_requirements(builder, data_dir, manual_dir)
  with _alone(data_dir, builder.name):
    found = prepared.find(name, data_dir)
    if found is None:
      _prepare(builder, data_dir, manual_dir)
      found = prepared.find(name, data_dir)
  assert found is not None
  return found


def check_requirements(
  builder: tfds.core.DatasetBuilder, data_dir: pathlib.Path, manual_dir: str | None
) -> None:
  """Returns if a set can be prepared.

  Raises:
    UserError: it cannot; found out in seconds, but for the sha256 of large files.
  """
  files = required_files(builder, data_dir, manual_dir)
  for file in files:
    if file.path and not file.intact:
      raise UserError(
        f'{file.path} is not the file that {builder.name} is made of: its sha256 '
        f'should be {file.sha256} and its size {file.size} bytes; delete it and get '
        f'{file.url}'
      )
  missing = [file for file in files if file.path is None]
  by_hand = builder.MANUAL_DOWNLOAD_INSTRUCTIONS is not None
  if missing and (by_hand or not reachable(file.url for file in missing)):
    raise UserError(_missing(builder, missing, data_dir, manual_dir))
  lacking = _lacking(builder)
  if lacking:
    raise UserError(
      f'preparing {builder.name} needs {lacking} (reading it does not): '
      f'{builders.INSTALL_PREPARE}'
    )


def _missing(
  builder: tfds.core.DatasetBuilder,
  files: list[RequiredFile],
  data_dir: pathlib.Path,
  manual_dir: str | None,
) -> str:
  wanted = ', '.join(map(_wanted, files))
  place = f'{manual_directory(data_dir, manual_dir)}' + (
    ' (--manual_dir)' if manual_dir else ' or into any folder given as --manual_dir'
  )
  also = f'; also needed is {builders.INSTALL_PREPARE}' if _lacking(builder) else ''
  return (
    f'{builder.name} is not prepared in {data_dir} and cannot be downloaded from here: '
    f'put {wanted} into {place}{also}; or try --config=configs/digits_vgg.py, which '
    'needs no download'
  )


def _wanted(file: RequiredFile) -> str:
  if file.sha256 is None:
    return f'{file.name} (from {file.url})'
  return f'{file.name} (sha256 {file.sha256})'


def _lacking(builder: tfds.core.DatasetBuilder) -> str | None:
  """What preparing a set needs and is not installed, in words."""
  if isinstance(builder, SegmentationBuilder):
    return ', '.join(filter(_is_absent, builder.LIBRARIES)) or None
  if builder.name not in builders.OWN and _is_absent('tensorflow'):
    return 'TensorFlow, or SciPy for SVHN'
  return None


def _is_absent(library: str) -> bool:
  return importlib.util.find_spec(library) is None


def _prepare(
  builder: tfds.core.DatasetBuilder, data_dir: pathlib.Path, manual_dir: str | None
) -> None:
  print(f'preparing {builder.info.full_name} in {data_dir}', file=sys.stderr)
  if not sys.stderr.isatty():
    tfds.disable_progress_bar()
  config = tfds.download.DownloadConfig(
    manual_dir=manual_directory(data_dir, manual_dir), try_download_gcs=False
  )
  # TFDS announces a download of unknown size, also where there is none.
  notices = io.StringIO() if builder.name in builders.OWN else sys.stderr
  try:
    with contextlib.redirect_stdout(notices):
      builder.download_and_prepare(
        download_dir=data_dir / 'downloads',
        download_config=config,
        file_format=prepared.ARRAY_RECORD,
      )
  except UserError:
    raise
  except Exception as error:  # Whatever a stock builder may raise.
    raise UserError(
      f'{builder.info.full_name} could not be prepared in {data_dir}: '
      f'{type(error).__name__}: {" ".join(str(error).split())}'
    ) from error


@contextlib.contextmanager
def _alone(data_dir: pathlib.Path, name: str) -> Iterator[None]:
  """Holds the right to prepare one data set in a folder."""
  try:
    if not writable(data_dir):
      raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = open(data_dir / f'.{name}.lock', 'w')
  except OSError as error:
    raise UserError(
      f'{name} is not prepared in {data_dir}, and nothing can be written there '
      f'({error.strerror}): pass another --data_dir'
    ) from error
  with lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield
