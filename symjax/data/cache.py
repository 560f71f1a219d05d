"""Decoded images on disk: written whole, checked, and mapped into memory."""

import contextlib
import json
import os
import pathlib
import shutil
import uuid
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np

from symjax.errors import UserError

Arrays = tuple[np.ndarray, np.ndarray]
_FILES = ('images', 'labels')


def read(folder: pathlib.Path) -> Arrays:
  """The images and labels of a cache, mapped read-only.

  All bytes are read once, against their checksum; this also brings them into memory
  for training.

  Raises:
    UserError: the folder is damaged.
  """
  try:
    record = json.loads((folder / 'cache.json').read_text())
    arrays = {name: np.load(folder / f'{name}.npy', mmap_mode='r') for name in _FILES}
    sound = all(_describe(arrays[name]) == record[name] for name in _FILES)
  except (OSError, ValueError, EOFError, LookupError, TypeError):
    sound = False
  if not sound:
    raise UserError(
      f'the decoded images in {folder} are damaged: delete that folder, and they will '
      'be decoded again'
    )
  return arrays['images'], arrays['labels']


def write(folder: pathlib.Path, count: int, blocks: Iterable[Arrays]) -> None:
  """Writes a cache; it appears whole, or not at all.

  Several processes may do so at once: the first to finish wins.

  Args:
    folder: of the cache.
    count: of all examples together.
    blocks: consecutive pieces of images and labels, at least one.

  Raises:
    UserError: the disk is full or cannot be written.
  """
  with _appearing(folder) as temporary, contextlib.ExitStack() as stack:
    arrays = [
      _Growing(stack.enter_context(open(temporary / f'{name}.npy', 'wb')), count)
      for name in _FILES
    ]
    for block in blocks:
      for array, piece in zip(arrays, block, strict=True):
        array.append(piece)
    record = {name: array.record for name, array in zip(_FILES, arrays, strict=True)}
    (temporary / 'cache.json').write_text(json.dumps(record, indent=2))


class _Growing:
  """An array on disk that is written piece by piece.

  Not through a memory map, because a full disk would then end the process with a
  signal instead of an error.

  Attributes:
    record: the array's description, once it is whole.
  """

  def __init__(self, file: BinaryIO, count: int) -> None:
    self._file, self._count = file, count
    self.record: dict[str, Any] = {}

  def append(self, piece: np.ndarray) -> None:
    """Writes [examples, ...] more; the first piece decides about shape and type."""
    piece = np.ascontiguousarray(piece)
    if not self.record:
      shape = (self._count, *piece.shape[1:])
      header = {
        'descr': np.lib.format.dtype_to_descr(piece.dtype),
        'fortran_order': False,
        'shape': shape,
      }
      np.lib.format.write_array_header_1_0(self._file, header)
      self.record = _description(shape, piece.dtype, 0)
    self._file.write(piece.data)
    self.record['crc32'] = zlib.crc32(piece.data, self.record['crc32'])


def _describe(array: np.ndarray) -> dict[str, Any]:
  checksum = zlib.crc32(np.ascontiguousarray(array).data)
  return _description(array.shape, array.dtype, checksum)


def _description(
  shape: tuple[int, ...], dtype: np.dtype, checksum: int
) -> dict[str, Any]:
  return {'shape': list(shape), 'dtype': dtype.name, 'crc32': checksum}


@contextlib.contextmanager
def _appearing(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """A temporary folder that takes the name `folder` if all goes well."""
  temporary = folder.with_name(f'.{folder.name}.{uuid.uuid4().hex}')
  try:
    temporary.mkdir(parents=True)
    yield temporary
    try:
      os.rename(temporary, folder)
    except OSError:
      if not folder.is_dir():  # Else another process was first; its work will do.
        raise
  except OSError as error:
    raise UserError(
      f'cannot write decoded images to {folder.parent} ({error.strerror}): make room '
      'there, or point XDG_CACHE_HOME or --data_dir to another disk'
    ) from error
  finally:
    shutil.rmtree(temporary, ignore_errors=True)
