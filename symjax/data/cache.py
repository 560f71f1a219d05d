"""Decoded images on disk: written whole, checked, and mapped into memory."""

import contextlib
import json
import os
import pathlib
import shutil
import uuid
import zlib
from collections.abc import Iterable, Iterator

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


def write(
  folder: pathlib.Path, shape: tuple[int, ...], blocks: Iterable[Arrays]
) -> None:
  """Writes a cache; it appears whole, or not at all.

  Several processes may do so at once: the first to finish wins.

  Args:
    folder: of the cache.
    shape: of all images together.
    blocks: consecutive pieces of uint8 images and int32 labels.

  Raises:
    UserError: the disk is full or cannot be written.
  """
  # Written in turn, not through a memory map, because a full disk would then end
  # the process with a signal instead of an error.
  with _appearing(folder) as temporary, open(temporary / 'images.npy', 'wb') as file:
    header = {'descr': '|u1', 'fortran_order': False, 'shape': shape}
    np.lib.format.write_array_header_1_0(file, header)
    labels, checksum = [np.empty(0, np.int32)], 0
    for images, block_labels in blocks:
      file.write(images.data)
      checksum = zlib.crc32(images.data, checksum)
      labels.append(block_labels)
    all_labels = np.concatenate(labels)
    np.save(temporary / 'labels.npy', all_labels)
    images_record = {'shape': list(shape), 'dtype': 'uint8', 'crc32': checksum}
    record = {'images': images_record, 'labels': _describe(all_labels)}
    (temporary / 'cache.json').write_text(json.dumps(record, indent=2))


def _describe(array: np.ndarray) -> dict[str, object]:
  return {
    'shape': list(array.shape),
    'dtype': array.dtype.name,
    'crc32': zlib.crc32(np.ascontiguousarray(array).data),
  }


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
