"""Small files of weights in PyTorch's two formats, and pickles with code in them."""

import collections
import io
import os
import pickle
import struct
import zipfile

import ml_dtypes
import numpy as np

STORAGES = {
  'float64': 'Double',
  'float32': 'Float',
  'float16': 'Half',
  'bfloat16': 'BFloat16',
  'int64': 'Long',
  'int32': 'Int',
  'int16': 'Short',
  'int8': 'Char',
  'uint8': 'Byte',
  'bool': 'Bool',
}


class View:
  """A strided view of a storage, given as PyTorch writes it, right or wrong."""

  def __init__(self, storage, offset, shape, strides):
    self.storage, self.offset = storage, offset
    self.shape, self.strides = shape, strides


class Writer:
  """Writes a value as a pickle of PyTorch and collects its storages."""

  def __init__(self, legacy, call='_rebuild_tensor_v2'):
    self.legacy, self.call = legacy, call
    self.storages = {}  # Key -> array.
    self.keys = {}  # Identity of an array -> key.

  def write(self, value):
    return b'\x80\x02' + self.emit(value) + b'.'

  def emit(self, value):
    if isinstance(value, np.ndarray):
      value = np.ascontiguousarray(value)
      self.storages.setdefault(f'keep {id(value)}', value)  # Its id stays its own.
      strides = [stride // value.itemsize for stride in value.strides]
      return self.emit(View(value.reshape(-1), 0, value.shape, strides))
    if isinstance(value, View):
      counts = [value.offset, tuple(value.shape), tuple(value.strides)]
      parts = [self.storage(value.storage), *map(self.emit, counts)]
      if self.call == '_rebuild_tensor_v2':
        parts += [self.emit(False), self.emit(collections.OrderedDict())]
      called = f'ctorch._utils\n{self.call}\n'.encode()
      return called + b'(' + b''.join(parts) + b'tR'
    if isinstance(value, collections.OrderedDict):
      return b'ccollections\nOrderedDict\n)R' + self.items(value)
    if isinstance(value, dict):
      return b'}' + self.items(value)
    if isinstance(value, tuple):
      return b'(' + b''.join(map(self.emit, value)) + b't'
    if isinstance(value, list):
      return b'](' + b''.join(map(self.emit, value)) + b'e'
    return pickle.dumps(value, 2)[2:-1]

  def items(self, value):
    return b'(' + b''.join(map(self.emit, sum(value.items(), ()))) + b'u'

  def storage(self, array):
    base = array if array.base is None else array.base
    key = self.keys.setdefault(id(base), str(len(self.keys)))
    self.storages[key] = array
    kind = f'ctorch\n{STORAGES[array.dtype.name]}Storage\n'.encode()
    rest = [key, 'cpu', array.size] + [None] * self.legacy
    return b'(' + self.emit('storage') + kind + b''.join(map(self.emit, rest)) + b'tQ'

  def content(self):
    kept = {key: a for key, a in self.storages.items() if not key.startswith('keep')}
    return {key: array.tobytes() for key, array in kept.items()}


def write_zip(path, value, writer=None):
  """The format since PyTorch 1.6."""
  writer = writer or Writer(legacy=False)
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('archive/data.pkl', writer.write(value))
    archive.writestr('archive/byteorder', 'little')
    for key, content in writer.content().items():
      archive.writestr(f'archive/data/{key}', content)
    archive.writestr('archive/version', '3\n')


def write_legacy(path, value, writer=None):
  """The format before PyTorch 1.6."""
  writer = writer or Writer(legacy=True, call='_rebuild_tensor')
  file = io.BytesIO()
  system = {'protocol_version': 1001, 'little_endian': True, 'type_sizes': {'int': 4}}
  for header in (0x1950A86A20F9469CFC6C, 1001, system):
    file.write(pickle.dumps(header, 2))
  file.write(writer.write(value))
  content = writer.content()
  file.write(pickle.dumps(list(content), 2))
  for key, data in content.items():
    file.write(struct.pack('<q', writer.storages[key].size) + data)
  path.write_bytes(file.getvalue())


def malicious(marker):
  """Pickles by what they are about, each of which would make `marker` if it ran."""
  command = f'touch {marker}'.encode()
  text = b'X' + struct.pack('<I', len(command)) + command
  python = f'open({str(marker)!r}, "w")'.encode()
  source = b'X' + struct.pack('<I', len(python)) + python

  class Reduced:
    def __reduce__(self):
      return os.system, (command.decode(),)

  return {
    'posix.system': pickle.dumps({'a': Reduced()}, 2),
    'os.system': b'\x80\x02cos\nsystem\n' + text + b'\x85R.',
    'builtins.eval': b'\x80\x04\x8c\x08builtins\x8c\x04eval\x93' + source + b'\x85R.',
    'INST': b'(' + text + b'ios\nsystem\n.',
    'OBJ': b'\x80\x02(cos\nsystem\n' + text + b'o.',
    'NEWOBJ': b'\x80\x02csubprocess\nPopen\n' + text + b'\x85\x81.',
    'BUILD': b'\x80\x02]}X\x01\x00\x00\x00aK\x01sb.',
    'EXT1': b'\x80\x02\x82\x01' + text + b'\x85R.',
    'PERSID': b'P' + command + b'\n.',
    'NEXT_BUFFER': b'\x80\x05\x97.',
    'OrderedDict': b'\x80\x02ccollections\nOrderedDict\n' + text + b'\x85R.',
    'torch.load': b'\x80\x02ctorch\nload\n' + text + b'\x85R.',
    'setattr': b'c__builtin__\nsetattr\n' + text + b'\x85R.',
  }


# What a refusal names, where that is not the key above.
NAMED = {'INST': 'os.system', 'OBJ': 'os.system', 'NEWOBJ': 'subprocess.Popen'}

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
