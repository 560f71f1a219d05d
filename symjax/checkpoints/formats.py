"""Any checkpoint as arrays by name, without the framework that wrote it."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from symjax.checkpoints.hdf5 import read_hdf5
from symjax.checkpoints.npz import read_npz
from symjax.checkpoints.safetensors import read_safetensors
from symjax.checkpoints.torch_files import read_legacy, read_zip
from symjax.checkpoints.workdir import read_workdir
from symjax.errors import UserError

Reader = Callable[[Path], dict[str, np.ndarray]]


class Format(NamedTuple):
  """A kind of file.

  Attributes:
    title: in words.
    suffixes: that its names have; the first is the usual one.
    read: its arrays by name.
  """

  title: str
  suffixes: tuple[str, ...]
  read: Reader


_PYTORCH = ('.pth', '.pt', '.th', '.bin')
SAFETENSORS = Format('safetensors file', ('.safetensors',), read_safetensors)
NPZ = Format('NumPy .npz file', ('.npz',), read_npz)
HDF5 = Format('HDF5 file', ('.h5', '.hdf5'), read_hdf5)
TORCH_ZIP = Format('PyTorch file', _PYTORCH, read_zip)
TORCH_LEGACY = Format('legacy PyTorch file', _PYTORCH, read_legacy)
WORKDIR = Format('workdir', (), read_workdir)
# Where the content does not say what it is, the first that has the suffix is meant.
FORMATS = (SAFETENSORS, NPZ, HDF5, TORCH_LEGACY, TORCH_ZIP)


def read(path: str | Path) -> dict[str, np.ndarray]:
  """The arrays of a checkpoint, by name.

  Names and axes are those of the file: PyTorch's convolutions are OIHW, those of
  Flax and Keras HWIO. Arrays of every type and rank are there. Nothing in the file is
  executed, and nothing is allocated that it declares but does not have.

  Args:
    path: a file of safetensors, NumPy (`.npz`), Keras (`.h5`) or PyTorch (`.pth`,
      `.pt`, `.th`, `.bin`; of either kind), or a workdir of `run.train`, whose newest
      checkpoint is read under names that begin with `params/` and `batch_stats/`.

  Raises:
    UserError: there is no such file, or it cannot be read: it is damaged, of another
      format than its name says, or a pickle with anything but tensors in it.
  """
  path = Path(path)
  return read_as(identify(path), path)


def read_as(kind: Format, path: Path) -> dict[str, np.ndarray]:
  """The arrays of a file of a known format.

  Raises:
    UserError: it cannot be read, or holds no array.
  """
  try:
    arrays = kind.read(path)
  except UserError:
    raise
  # A damaged file can end in any exception of the libraries that read it.
  except Exception as error:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
    raise UserError(f'{path} cannot be read as a {kind.title}: {reason}') from error
  if not arrays:
    raise UserError(f'{path} is a {kind.title} without arrays')
  return arrays


def identify(path: Path) -> Format:
  """The format of a file, by its first bytes; by its suffix where they do not tell.

  Raises:
    UserError: there is no such file, it is of none of the `FORMATS`, or of another
      than its suffix says.
  """
  if path.is_dir():
    return WORKDIR
  if not path.exists():
    raise UserError(f'{path} does not exist')
  suffix = path.suffix.lower()
  named = [kind for kind in FORMATS if suffix in kind.suffixes]
  found = _by_content(path) or (named[0] if named else None)
  if found is None:
    known = ', '.join(s for kind in FORMATS[:-1] for s in kind.suffixes)
    raise UserError(f'{path} is in no known format; there are {known}, and workdirs')
  if named and found not in named:
    raise UserError(
      f'{path} is a {found.title} named {suffix}; rename it to {found.suffixes[0]}'
    )
  return found


def _by_content(path: Path) -> Format | None:
  with open(path, 'rb') as file:
    start = file.read(16)
  if start.startswith(b'\x89HDF\r\n\x1a\n'):
    return HDF5
  if start.startswith(b'PK\x03\x04'):
    try:
      with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    except Exception:  # Damaged: its suffix tells what it was.
      return None
    if any(name.endswith('/data.pkl') for name in names):
      return TORCH_ZIP
    return NPZ if any(name.endswith('.npy') for name in names) else None
  if start[8:9] == b'{':
    return SAFETENSORS
  return TORCH_LEGACY if start.startswith(b'\x80') else None
