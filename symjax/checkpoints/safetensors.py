"""The safetensors format: a header in JSON, then the arrays' bytes."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from symjax import records
from symjax.checkpoints.bounds import is_count, require_size

# The name of a type in the header -> the type, its bytes in little-endian order.
DTYPES = {
  'F64': np.dtype('<f8'),
  'F32': np.dtype('<f4'),
  'F16': np.dtype('<f2'),
  'BF16': np.dtype(jnp.bfloat16),
  'F8_E4M3': np.dtype(jnp.float8_e4m3fn),
  'F8_E5M2': np.dtype(jnp.float8_e5m2),
  'I64': np.dtype('<i8'),
  'I32': np.dtype('<i4'),
  'I16': np.dtype('<i2'),
  'I8': np.dtype('i1'),
  'U64': np.dtype('<u8'),
  'U32': np.dtype('<u4'),
  'U16': np.dtype('<u2'),
  'U8': np.dtype('u1'),
  'BOOL': np.dtype('?'),
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_PREFIX = struct.Struct('<Q')  # The header's length in bytes.


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
  """The arrays by name, in the order of their bytes.

  Raises:
    ValueError: the file is truncated, or its header does not describe its bytes.
  """
  content = path.read_bytes()
  if len(content) < _PREFIX.size:
    raise ValueError('it is truncated')
  start = _PREFIX.size + _PREFIX.unpack_from(content)[0]
  if start > len(content):
    raise ValueError(
      f'it is truncated: its header ends at byte {start}, the file at {len(content)}'
    )
  entries = _header(content[_PREFIX.size : start])
  arrays, end = {}, start
  # The format allows no holes, so every byte has one owner.
  for name, (first, last), dtype, shape in sorted(entries, key=lambda entry: entry[1]):
    if start + first != end or last < first or start + last > len(content):
      raise ValueError(
        f'its array {name} is not where the one before it ends, or beyond the end of '
        'the file, which may be truncated'
      )
    require_size(name, shape, dtype.itemsize, last - first)
    values = np.frombuffer(content[end : start + last], dtype)
    arrays[name] = values.reshape(shape)
    end = start + last
  if end != len(content):
    raise ValueError(f'{len(content) - end} of its bytes belong to no array')
  return arrays


def _header(text: bytes) -> list[tuple[str, tuple[int, int], np.dtype, list[Any]]]:
  """Name, span, type and declared shape of every array."""
  try:
    header = json.loads(text)
  except (UnicodeDecodeError, ValueError, RecursionError):
    raise ValueError('its header is damaged: it is not JSON') from None
  if not isinstance(header, dict):
    raise ValueError('its header is damaged: it is no JSON object')
  entries = []
  for name, entry in header.items():
    if name == '__metadata__':
      continue
    match entry:
      case {'dtype': str(kind), 'shape': list(shape), 'data_offsets': [first, last]}:
        if kind not in DTYPES:
          raise ValueError(f'its array {name} has the unknown type {kind}')
        if not is_count(first) or not is_count(last):
          raise ValueError(f'its array {name} has no place but {[first, last]}')
        entries.append((name, (first, last), DTYPES[kind], shape))
      case _:
        raise ValueError(f'its header is damaged at {name}')
  return entries


def write_safetensors(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
  """Writes arrays whole or not at all.

  Args:
    path: of the file.
    arrays: by name, of the types in `DTYPES`.

  Raises:
    KeyError: an array of another type.
    OSError: the file cannot be written.
  """
  header: dict[str, Any] = {'__metadata__': {'format': 'pt'}}
  pieces, end = [], 0
  for name, array in arrays.items():
    array = np.asarray(array)
    content = array.astype(array.dtype.newbyteorder('<'), copy=False).tobytes()
    header[name] = {
      'dtype': _NAMES[array.dtype],
      'shape': list(array.shape),
      'data_offsets': [end, end + len(content)],
    }
    pieces.append(content)
    end += len(content)
  text = json.dumps(header, separators=(',', ':')).encode()
  text += b' ' * (-len(text) % 8)  # The arrays then are aligned.
  records.write_bytes(path, b''.join((_PREFIX.pack(len(text)), text, *pieces)))
