"""PyTorch's files: a pickle, and the bytes of the storages that it refers to.

There are two kinds, a zip file (since PyTorch 1.6) and several pickles in a row
followed by the storages ("legacy"). Neither is executed: see `pickles`.
"""

import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from symjax.checkpoints.archive import Archive, open_archive
from symjax.checkpoints.pickles import Tensor, read_pickle

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_COUNT = struct.Struct('<q')
_LARGEST_RANK = 32  # NumPy's views go no further.
_DEEPEST = 50
_MOST_VALUES = 2**18

# Under these keys training scripts put the weights, beside epochs and optimisers.
CONTAINERS = ('state_dict', 'model_state_dict', 'model', 'net', 'weights', 'params')
# What wrappers prepend to every name: DataParallel and torch.compile.
WRAPPERS = ('module.', '_orig_mod.')


def read_zip(path: Path) -> dict[str, np.ndarray]:
  """The tensors of a zip file, by name.

  Raises:
    ValueError: it holds something else than tensors, which is named, or is damaged.
    zipfile.BadZipFile: it is damaged.
  """
  with open_archive(path) as archive:
    root = _root(archive)
    order = f'{root}byteorder'
    if order in archive.names and archive.read(order) != b'little':
      raise ValueError('its numbers are big-endian')
    value = read_pickle(io.BytesIO(archive.read(f'{root}data.pkl')))
    tensors = _unwrap(value)
    keys = dict.fromkeys(tensor.storage.key for tensor in tensors.values())
    storages = {key: archive.read(f'{root}data/{key}') for key in keys}
  return {name: _array(name, tensor, storages) for name, tensor in tensors.items()}


def _root(archive: Archive) -> str:
  """The folder inside of the zip file, with a slash behind it."""
  if any(name.endswith('/constants.pkl') for name in archive.names):
    raise ValueError('it is a TorchScript program; save the state_dict of its module')
  roots = [n.removesuffix('data.pkl') for n in archive.names if n.endswith('/data.pkl')]
  if len(roots) != 1:
    raise ValueError('it has no data.pkl, or several')
  return roots[0]


def read_legacy(path: Path) -> dict[str, np.ndarray]:
  """The tensors of a file of the kind before PyTorch 1.6, by name.

  Raises:
    ValueError: it holds something else than tensors, which is named, or is damaged.
  """
  content = path.read_bytes()
  file = io.BytesIO(content)
  if read_pickle(file) != _MAGIC:
    raise ValueError('it is a pickle, but not of PyTorch')
  if read_pickle(file) != _PROTOCOL:
    raise ValueError('it is of an unknown version of PyTorch')
  system = read_pickle(file)
  if not isinstance(system, dict) or system.get('little_endian') is not True:
    raise ValueError('its numbers are big-endian')
  value = read_pickle(file)
  tensors = _unwrap(value)
  keys = read_pickle(file)
  if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
    raise ValueError('its list of storages is damaged')
  storage_of = {t.storage.key: t.storage for t in _tensors(value).values()}
  storages, position = {}, file.tell()
  for key in keys:
    if position + _COUNT.size > len(content):
      raise ValueError('it is truncated')
    (count,) = _COUNT.unpack_from(content, position)
    first = position + _COUNT.size
    if key not in storage_of:
      raise ValueError(f'its storage {key} belongs to no array')
    position = first + count * storage_of[key].dtype.itemsize
    if count < 0 or position > len(content):
      raise ValueError('it is truncated')
    storages[key] = content[first:position]
  return {name: _array(name, tensor, storages) for name, tensor in tensors.items()}


def _array(name: str, tensor: Tensor, storages: Mapping[str, bytes]) -> np.ndarray:
  """The tensor as a view of its storage's bytes."""
  storage, dtype = tensor.storage, tensor.storage.dtype
  content = storages.get(storage.key)
  if content is None or len(content) != storage.size * dtype.itemsize:
    raise ValueError(
      f'its array {name} lies in a storage of {storage.size} elements, for which the '
      f'file has {len(content or b"")} bytes'
    )
  if len(tensor.shape) > _LARGEST_RANK:
    raise ValueError(f'its array {name} has {len(tensor.shape)} axes')
  if 0 in tensor.shape:
    return np.zeros(tensor.shape, dtype)
  # `Tensor` has been checked to lie inside.
  return np.lib.stride_tricks.as_strided(
    np.frombuffer(content, dtype)[tensor.offset :],
    tensor.shape,
    [stride * dtype.itemsize for stride in tensor.strides],
    writeable=False,
  )


def _unwrap(value: Any) -> dict[str, Tensor]:
  """The tensors of the weights, by name.

  The first of `CONTAINERS` in the outermost dict that is a dict with tensors in it is
  taken for the weights, and the rest (an optimiser's state, ...) is left. Without one,
  all tensors are taken. Names are the keys on the way, joined by dots, without those
  `WRAPPERS` that every name begins with.
  """
  tensors = _tensors(value)
  if isinstance(value, dict):
    inner = (value.get(key) for key in CONTAINERS)
    weights = (_tensors(part) for part in inner if isinstance(part, dict))
    tensors = next((found for found in weights if found), tensors)
  for prefix in WRAPPERS:
    if all(name.startswith(prefix) for name in tensors):
      tensors = {name.removeprefix(prefix): tensors[name] for name in tensors}
  return tensors


def _tensors(value: Any) -> dict[str, Tensor]:
  """All tensors in nested dicts, lists and tuples, by the path to them."""
  found: dict[str, Tensor] = {}
  pending: list[tuple[tuple[str, ...], Any]] = [((), value)]
  seen = 0
  while pending:
    path, value = pending.pop()
    if isinstance(value, Tensor):
      name = '.'.join(path) or 'tensor'
      if name in found:
        raise ValueError(f'it has two arrays named {name}')
      found[name] = value
      continue
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
      items = list(value.items())
    elif isinstance(value, (list, tuple)):
      items = list(enumerate(value))
    # A pickle can hold itself, or one value many times over.
    seen += len(items)
    if len(path) == _DEEPEST or seen > _MOST_VALUES:
      raise ValueError('its values are nested too deeply, or too many')
    pending += [((*path, str(key)), inner) for key, inner in reversed(items)]
  return found
