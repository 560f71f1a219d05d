"""Pickles, read as data: nothing in one can run.

A pickle is a program for a small stack machine, some of whose instructions import and
call what the file names. Here is a machine without those: it knows the few names that
PyTorch's weights use, each as a value of its own and none as a function, and refuses
every other name and instruction.
"""

import dataclasses
import pickletools
from collections.abc import Callable
from typing import IO, Any

import jax.numpy as jnp
import numpy as np

from symjax.checkpoints.bounds import is_count

_STORAGES = {
  'torch.DoubleStorage': np.dtype('<f8'),
  'torch.FloatStorage': np.dtype('<f4'),
  'torch.HalfStorage': np.dtype('<f2'),
  'torch.BFloat16Storage': np.dtype(jnp.bfloat16),
  'torch.LongStorage': np.dtype('<i8'),
  'torch.IntStorage': np.dtype('<i4'),
  'torch.ShortStorage': np.dtype('<i2'),
  'torch.CharStorage': np.dtype('i1'),
  'torch.ByteStorage': np.dtype('u1'),
  'torch.BoolStorage': np.dtype('?'),
}
_DICT = 'collections.OrderedDict'
_PARAMETER = 'torch._utils._rebuild_parameter'
_TENSORS = ('torch._utils._rebuild_tensor', 'torch._utils._rebuild_tensor_v2')
_KNOWN = {*_STORAGES, _DICT, _PARAMETER, *_TENSORS}

_CONSTANTS = {
  'NONE': None,
  'NEWTRUE': True,
  'NEWFALSE': False,
}
# Instructions that push the value which stands behind them in the file.
_LITERALS = {
  *('INT', 'BININT', 'BININT1', 'BININT2', 'LONG', 'LONG1', 'LONG4'),
  *('FLOAT', 'BINFLOAT'),
  *('STRING', 'BINSTRING', 'SHORT_BINSTRING'),
  *('UNICODE', 'SHORT_BINUNICODE', 'BINUNICODE', 'BINUNICODE8'),
  *('SHORT_BINBYTES', 'BINBYTES', 'BINBYTES8'),
}
_EMPTY: dict[str, type] = {'EMPTY_DICT': dict, 'EMPTY_LIST': list, 'EMPTY_TUPLE': tuple}
_MARK = object()


@dataclasses.dataclass(frozen=True)
class Storage:
  """Bytes elsewhere in the file.

  Attributes:
    dtype: of the elements.
    key: the name of the storage.
    size: elements.
  """

  dtype: np.dtype
  key: str
  size: int


@dataclasses.dataclass(frozen=True)
class Tensor:
  """A strided view of a storage, whose every element is inside.

  Attributes:
    storage: that it views.
    offset: of its first element, in elements.
    shape: its sides.
    strides: from one element to the next along each axis, in elements.
  """

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class _Name:
  """A name that PyTorch's weights use."""

  text: str


def read_pickle(file: IO[bytes]) -> Any:
  """The value of one pickle: dicts, lists, tuples, numbers, text, bytes, `Tensor`s.

  Args:
    file: at the beginning of the pickle; afterwards it is behind its end.

  Raises:
    ValueError: the pickle is damaged, or has anything else in it, which is named.
  """
  machine = _Machine()
  try:
    for instruction, argument, _ in pickletools.genops(file):
      if instruction.name == 'STOP':
        return machine.stack.pop()
      machine.run(instruction.name, argument)
  except (IndexError, KeyError, TypeError, AttributeError, UnicodeDecodeError):
    raise ValueError('its pickle is damaged') from None
  raise ValueError('its pickle has no end')


class _Machine:
  def __init__(self) -> None:
    self.stack: list[Any] = []
    self.memo: dict[int, Any] = {}

  def run(self, name: str, argument: Any) -> None:
    """One instruction."""
    stack = self.stack
    if name in _LITERALS:
      stack.append(argument)
    elif name in _CONSTANTS:
      stack.append(_CONSTANTS[name])
    elif name in _EMPTY:
      stack.append(_EMPTY[name]())
    elif name in ('PROTO', 'FRAME'):
      pass
    elif name == 'MARK':
      stack.append(_MARK)
    elif name in ('PUT', 'BINPUT', 'LONG_BINPUT'):
      self.memo[argument] = stack[-1]
    elif name == 'MEMOIZE':
      self.memo[len(self.memo)] = stack[-1]
    elif name in ('GET', 'BINGET', 'LONG_BINGET'):
      stack.append(self.memo[argument])
    elif name in ('POP', 'POP_MARK'):
      stack.pop() if name == 'POP' else self.pop_to_mark()
    elif name in ('TUPLE', 'LIST', 'DICT'):
      items = self.pop_to_mark()
      stack.append(_COLLECTED[name](items))
    elif name in ('TUPLE1', 'TUPLE2', 'TUPLE3'):
      count = int(name[-1])
      items = [self.pop() for _ in range(count)][::-1]
      stack.append(tuple(items))
    elif name in ('APPEND', 'APPENDS'):
      items = [self.pop()] if name == 'APPEND' else self.pop_to_mark()
      _require(stack[-1], list).extend(items)
    elif name in ('SETITEM', 'SETITEMS'):
      two = name == 'SETITEM'
      items = [self.pop(), self.pop()][::-1] if two else self.pop_to_mark()
      _require(stack[-1], dict).update(_pairs(items))
    elif name in ('GLOBAL', 'INST'):
      stack.append(_known('.'.join(argument.split(' ', 1))))
      if name == 'INST':
        raise ValueError(f'its pickle makes an object of {stack[-1].text}')
    elif name == 'STACK_GLOBAL':
      attribute, module = _require(self.pop(), str), _require(self.pop(), str)
      stack.append(_known(f'{module}.{attribute}'))
    elif name == 'BINPERSID':
      stack.append(_storage(self.pop()))
    elif name == 'REDUCE':
      arguments, function = _require(self.pop(), tuple), _require(self.pop(), _Name)
      stack.append(_rebuild(function.text, arguments))
    elif name == 'BUILD':
      # Attributes of an ordered dict, such as PyTorch's `_metadata`: no weights.
      _require(self.pop(), dict)
      if not isinstance(stack[-1], dict):
        raise ValueError('its pickle sets the state of an object (BUILD)')
    else:
      raise ValueError(f'its pickle has an instruction that no weights need: {name}')

  def pop(self) -> Any:
    """The topmost value.

    Raises:
      ValueError: there is a mark.
    """
    value = self.stack.pop()
    if value is _MARK:
      raise ValueError('its pickle is damaged')
    return value

  def pop_to_mark(self) -> list[Any]:
    """What is above the last mark, which goes too."""
    items = []
    while (value := self.stack.pop()) is not _MARK:
      items.append(value)
    return items[::-1]


def _require(value: Any, kind: type) -> Any:
  if not isinstance(value, kind):
    raise ValueError('its pickle is damaged')
  return value


def _pairs(items: list[Any]) -> dict[Any, Any]:
  keys, values = items[::2], items[1::2]
  for key in keys:
    if not isinstance(key, (str, bytes, int, float, type(None))):
      raise ValueError(f'its pickle has a key of type {type(key).__name__}')
  return dict(zip(keys, values, strict=True))


_COLLECTED: dict[str, Callable[[list[Any]], Any]] = {
  'TUPLE': tuple,
  'LIST': list,
  'DICT': _pairs,
}


def _known(name: str) -> _Name:
  if name not in _KNOWN:
    raise ValueError(
      f'its pickle names {name}, which is not read: it may hold only tensors, dicts, '
      'lists, numbers and text (save a state_dict)'
    )
  return _Name(name)


def _storage(identity: Any) -> Storage:
  """The storage that ('storage', type, key, device, size) names."""
  match identity:
    case ('storage', _Name(kind), str(key), str(), int(size), *view) if (
      kind in _STORAGES and is_count(size) and view in ([], [None])
    ):
      return Storage(_STORAGES[kind], key, size)
  raise ValueError('its pickle refers to something that is no storage of numbers')


def _rebuild(function: str, arguments: tuple[Any, ...]) -> Any:
  """What PyTorch's function would make, as data."""
  match function, arguments:
    case _, ():
      if function == _DICT:
        return {}
    case _, (list(items),):
      if function == _DICT:
        return _pairs([part for item in items for part in _pair(item)])
    case _, (Tensor() as tensor, bool(), dict()):
      if function == _PARAMETER:
        return tensor
    case _, (Storage() as storage, offset, tuple(shape), tuple(strides), *_):
      if function in _TENSORS:
        return _tensor(storage, offset, shape, strides)
  raise ValueError(f'its pickle calls {function} with other arguments than PyTorch')


def _pair(item: Any) -> Any:
  if not isinstance(item, (list, tuple)) or len(item) != 2:
    raise ValueError('its pickle is damaged')
  return item


def _tensor(
  storage: Storage, offset: Any, shape: tuple[Any, ...], strides: tuple[Any, ...]
) -> Tensor:
  counts = (offset, *shape, *strides)
  if not all(map(is_count, counts)) or len(shape) != len(strides):
    # Not to be printed: they may hold themselves, or more than can be.
    raise ValueError('its pickle has a tensor whose shape or strides are no counts')
  elements = 1
  for side in shape:
    elements *= side
  reach = sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
  # More elements than the storage has would be repeated ones: a small file could so
  # declare an array of any size.
  if elements and (offset + reach >= storage.size or elements > storage.size):
    raise ValueError(
      f'its pickle has a tensor of shape {list(shape)} in a storage of {storage.size} '
      'elements'
    )
  return Tensor(storage, offset, shape, strides)
