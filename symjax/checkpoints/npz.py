"""NumPy's `.npz`: a zip file of arrays."""

import io
from pathlib import Path

import numpy as np

from symjax.checkpoints.archive import open_archive
from symjax.checkpoints.bounds import require_size

_SUFFIX = '.npy'


def read_npz(path: Path) -> dict[str, np.ndarray]:
  """The arrays by name, in the order of the file.

  Raises:
    ValueError: an array of Python objects, which would be a pickle, or one that
      declares another size than it has.
    zipfile.BadZipFile: the file is damaged.
  """
  with open_archive(path) as archive:
    return {
      name.removesuffix(_SUFFIX): _array(name, archive.read(name))
      for name in archive.names
      if name.endswith(_SUFFIX)
    }


def _array(name: str, content: bytes) -> np.ndarray:
  file = io.BytesIO(content)
  version = np.lib.format.read_magic(file)
  read_header = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
  }.get(version)
  if read_header is None:
    raise ValueError(f'its array {name} has the unknown version {version}')
  shape, _, dtype = read_header(file)
  if dtype.hasobject:
    raise ValueError(f'its array {name} holds Python objects, which are not read')
  require_size(name, shape, dtype.itemsize, len(content) - file.tell())
  file.seek(0)
  return np.lib.format.read_array(file, allow_pickle=False)
