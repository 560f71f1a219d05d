"""Weights of every format: what was written is read, and nothing else happens."""

import collections
import io
import json
import pathlib
import pickle
import struct
import time
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest
from weight_files import (
  BFLOAT16,
  NAMED,
  View,
  Writer,
  malicious,
  write_legacy,
  write_zip,
)

from symjax import checkpoints
from symjax.checkpoints.safetensors import write_safetensors
from symjax.errors import UserError

REAL = pathlib.Path(__file__).parents[2] / 'shared' / 'data' / 'weights'


def weights():
  """Arrays of many types and ranks, in no alphabetical order."""
  rng = np.random.default_rng(0)
  return {
    'stem.weight': rng.standard_normal((8, 3, 3, 3)).astype(np.float32),
    'bn.running_mean': rng.standard_normal(8),
    'bn.num_batches_tracked': np.array(7),
    'half': rng.standard_normal((2, 3)).astype(np.float16),
    'a.volume': rng.standard_normal((2, 1, 2, 3, 1)).astype(np.float32),
    'mask': np.array([True, False]),
    'empty': np.zeros((0, 3), np.float32),
    'brain': rng.standard_normal(5).astype(BFLOAT16),
  }


def write_npz(path, arrays):
  np.savez(path, **arrays)


def write_h5(path, arrays):
  with h5py.File(path, 'w') as file:
    for name, array in arrays.items():
      file.create_dataset(name, data=array)


WRITERS = {
  'safetensors': lambda path, arrays: write_safetensors(path, arrays),
  'npz': write_npz,
  'h5': write_h5,
  'pth': write_zip,
  'th': write_legacy,
}


@pytest.mark.parametrize('suffix', WRITERS)
def test_what_was_written_is_read(suffix, tmp_path):
  arrays = weights()
  if suffix in ('npz', 'h5'):  # They have no bfloat16.
    del arrays['brain']
  path = tmp_path / f'net.{suffix}'
  WRITERS[suffix](path, arrays)
  found = checkpoints.read(path)
  assert set(found) == set(arrays)
  if suffix != 'h5':  # HDF5 sorts what it is not told the order of.
    assert list(found) == list(arrays)
  for name, array in arrays.items():
    assert found[name].dtype == array.dtype
    np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize('write', [write_zip, write_legacy])
@pytest.mark.parametrize(
  'wrap',
  [
    lambda state: state,
    lambda state: {'epoch': 3, 'state_dict': state, 'optimizer': {'m': np.ones(2)}},
    lambda state: {'loss': np.ones(()), 'net': {}, 'weights': state},
    lambda state: {'best': 91.5, 'model': collections.OrderedDict(state)},
    lambda state: {'state_dict': {f'module.{k}': v for k, v in state.items()}},
  ],
)
def test_weights_are_found_in_their_containers(write, wrap, tmp_path):
  path = tmp_path / 'net.pth'
  state = {'conv.weight': weights()['stem.weight'], 'conv.bias': np.ones(8)}
  write(path, wrap(state))
  found = checkpoints.read(path)
  assert list(found) == list(state)
  np.testing.assert_array_equal(found['conv.weight'], state['conv.weight'])


def test_lists_of_arrays_are_named_by_their_places(tmp_path):
  path = tmp_path / 'net.pth'
  write_zip(path, [{'w': np.ones(1)}, (np.zeros(2),)])
  assert list(checkpoints.read(path)) == ['0.w', '1.0']


@pytest.mark.parametrize('write', [write_zip, write_legacy])
def test_views_share_a_storage(write, tmp_path):
  storage = np.arange(12.0)
  path = tmp_path / 'net.pth'
  rows = View(storage, 4, (2, 3), (3, 1))
  columns = View(storage, 0, (3, 4), (1, 3))
  write(path, {'rows': rows, 'columns': columns})
  found = checkpoints.read(path)
  np.testing.assert_array_equal(found['rows'], storage[4:10].reshape(2, 3))
  np.testing.assert_array_equal(found['columns'], storage.reshape(4, 3).T)


def test_keras_names_its_weights_in_its_order(tmp_path):
  path = tmp_path / 'net.h5'
  kernel, bias = np.ones((3, 3, 1, 2), np.float32), np.zeros(2, np.float32)
  with h5py.File(path, 'w') as file:
    root = file.create_group('model_weights')
    root.attrs['layer_names'] = [b'second', b'first', b'flatten']
    file.create_group('optimizer_weights').create_dataset('m', data=np.ones(3))
    root.create_group('flatten').attrs['weight_names'] = np.zeros(0)
    for layer in ('first', 'second'):
      group = root.create_group(layer)
      # A list too long for one attribute is split.
      group.attrs['weight_names0'] = [f'{layer}/kernel:0'.encode()]
      group.attrs['weight_names1'] = [f'{layer}/bias:0'.encode()]
      group.create_dataset(f'{layer}/kernel:0', data=kernel, compression='gzip')
      group.create_dataset(f'{layer}/bias:0', data=bias)
  found = checkpoints.read(path)
  assert list(found) == ['second/kernel', 'second/bias', 'first/kernel', 'first/bias']
  np.testing.assert_array_equal(found['first/kernel'], kernel)


def test_links_out_of_a_file_are_not_followed(tmp_path):
  with h5py.File(tmp_path / 'other.h5', 'w') as file:
    file.create_dataset('secret/kernel', data=np.ones(3))
  with h5py.File(tmp_path / 'net.h5', 'w') as file:
    file.create_dataset('own', data=np.zeros(2))
    file['layer'] = h5py.ExternalLink('other.h5', '/secret')
    file['again'] = h5py.SoftLink('/own')
    file.attrs['layer_names'] = [b'layer', b'again']
  assert list(checkpoints.read(tmp_path / 'net.h5')) == ['own']
  raw = tmp_path / 'raw.h5'
  with h5py.File(raw, 'w') as file:
    file.create_dataset('a', (3,), 'f4', external=[(str(raw), 0, 12)])
  assert 'lies in another file' in refusal(raw)


@pytest.mark.skipif(not REAL.exists(), reason='the real weights are not at hand')
def test_real_weights_are_the_same_in_both_formats():
  legacy = checkpoints.read(REAL / 'resnet20-12fca82f.th')
  plain = checkpoints.read(REAL / 'resnet20-12fca82f.full.safetensors')
  assert set(legacy) == set(plain) and len(legacy) == 97
  for name in legacy:
    np.testing.assert_array_equal(legacy[name], plain[name])
  keras = checkpoints.read(next(REAL.glob('*.h5')))
  assert len(keras) == 50 and list(keras)[1] == 'conv1/conv1_b'


def refusal(path):
  """What is said of a file that is refused, in one line."""
  with pytest.raises(UserError) as caught:
    checkpoints.read(path)
  line = str(caught.value)
  assert len(line.splitlines()) == 1 and str(path) in line
  return line


@pytest.mark.parametrize('key', malicious('marker'))
@pytest.mark.parametrize('place', ['zip', 'legacy', 'legacy start', 'hidden'])
def test_a_pickle_with_code_does_nothing_and_is_refused_by_name(key, place, tmp_path):
  marker = tmp_path / 'marker'
  code = malicious(marker)[key]
  path = tmp_path / 'net.pth'
  if place == 'zip':
    with zipfile.ZipFile(path, 'w') as archive:
      archive.writestr('net/data.pkl', code)
  elif place == 'legacy start':
    path.write_bytes(code)
  else:
    write_legacy(path, {'w': np.ones(3)})
    content = path.read_bytes()
    # In the place of the weights, or of the list of their storages.
    place = content.index(b'\x80\x02}(' if place == 'legacy' else b'\x80\x02]')
    path.write_bytes(content[:place] + code)
  assert NAMED.get(key, key) in refusal(path)
  assert not marker.exists()


def test_the_pickles_with_code_are_dangerous(tmp_path):
  """Else their refusal would show nothing."""
  marker = tmp_path / 'marker'
  pickle.loads(malicious(marker)['posix.system'])
  assert marker.exists()


def huge_safetensors(path):
  header = {'a': {'dtype': 'F32', 'shape': [2**40], 'data_offsets': [0, 4]}}
  text = json.dumps(header).encode()
  path.write_bytes(struct.pack('<Q', len(text)) + text + bytes(4))


def huge_npz(path):
  header = io.BytesIO()
  np.lib.format.write_array_header_1_0(
    header, {'descr': '<f4', 'fortran_order': False, 'shape': (2**40,)}
  )
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('a.npy', header.getvalue() + bytes(4))


def huge_h5(path):
  with h5py.File(path, 'w') as file:
    file.create_dataset('a', (2**38,), 'f4', chunks=(2**10,))
    file.create_dataset('b', data=np.ones(4))


def bomb_npz(path):
  """A megabyte that a header of the zip file calls a terabyte."""
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
    archive.writestr('a.npy', bytes(2**20))
  content = path.read_bytes()
  path.write_bytes(
    content.replace(struct.pack('<I', 2**20), struct.pack('<I', 2**32 - 2))
  )


HUGE = {
  'a.safetensors': huge_safetensors,
  'a.npz': huge_npz,
  'b.npz': bomb_npz,
  'a.h5': huge_h5,
  'a.pth': lambda p: write_zip(p, {'a': View(np.ones(2), 0, (2**40,), (1,))}),
  'b.pth': lambda p: write_zip(p, {'a': View(np.ones(2), 0, (2**40,), (0,))}),
  'c.pth': lambda p: write_zip(p, {'a': View(np.ones(9), 5, (3, 2), (2, 1))}),
  'd.pth': lambda p: write_zip(p, {'a': View(np.ones(9), 5, (2, 2), (-2, 1))}),
  'a.th': lambda p: write_legacy(p, {'a': View(np.ones(2), 1, (2,), (1,))}),
}


@pytest.mark.parametrize('name', HUGE)
def test_more_than_a_file_has_is_refused_before_it_is_allocated(name, tmp_path):
  path = tmp_path / name
  HUGE[name](path)
  tracemalloc.start()
  try:
    line = refusal(path)
    assert tracemalloc.get_traced_memory()[1] < 5e6
  finally:
    tracemalloc.stop()
  assert 'a' in line and ('declares' in line or 'shape' in line), line


def nested(depth):
  value = np.ones(1)
  for _ in range(depth):
    value = [value]
  return value


CYCLE = b'\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.'  # {'a': itself}
# Lists of ten times the list before, twelve times over: 10^12 values in 300 bytes.
BOMB = b'\x80\x02]q\x00' + b''.join(
  b'](' + b'h' + bytes([n]) * 1 + (b'h' + bytes([n])) * 9 + b'eq' + bytes([n + 1])
  for n in range(12)
) + b'.'  # fmt: skip


@pytest.mark.parametrize('code', [CYCLE, BOMB, Writer(False).write(nested(300))])
def test_values_nested_without_end_are_refused(code, tmp_path):
  path = tmp_path / 'net.pth'
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('net/data.pkl', code)
  began = time.monotonic()
  assert 'nested too deeply' in refusal(path)
  assert time.monotonic() - began < 10


@pytest.mark.parametrize('suffix', WRITERS)
@pytest.mark.parametrize('other', ['safetensors', 'npz', 'h5', 'pth'])
def test_a_file_of_another_format_than_its_name_says_is_named(suffix, other, tmp_path):
  if suffix == other or (suffix, other) == ('th', 'pth'):
    return
  path = tmp_path / f'net.{other}'
  arrays = {'w': np.ones(3)}
  if suffix == 'npz':
    write_npz(tmp_path / 'net', arrays)
    (tmp_path / 'net.npz').rename(path)
  else:
    WRITERS[suffix](path, arrays)
  assert f'named .{other}; rename it to .' in refusal(path)


def test_what_is_no_weights_is_named(tmp_path):
  assert 'does not exist' in refusal(tmp_path / 'gone.pth')
  assert 'is no workdir of run.train' in refusal(tmp_path)
  text = tmp_path / 'notes.txt'
  text.write_text('0123456789' * 3)
  assert 'in no known format; there are .safetensors, .npz, .h5' in refusal(text)
  for suffix in WRITERS:
    path = tmp_path / f'net.{suffix}'
    path.write_bytes(b'')
    assert 'cannot be read as a' in refusal(path)
    path.write_text('0123456789' * 3)
    assert 'cannot be read as a' in refusal(path)
  write_safetensors(tmp_path / 'none.safetensors', {})
  assert 'without arrays' in refusal(tmp_path / 'none.safetensors')
  np.savez(tmp_path / 'objects.npz', a=np.array([{}], dtype=object))
  assert 'Python objects' in refusal(tmp_path / 'objects.npz')
  with zipfile.ZipFile(tmp_path / 'script.pt', 'w') as archive:
    for name in ('data.pkl', 'constants.pkl'):
      archive.writestr(f'script/{name}', b'\x80\x02}.')
  assert 'TorchScript' in refusal(tmp_path / 'script.pt')


def mutate(content, rng):
  """A truncation, or one to four flipped bits, half of them near an end."""
  if rng.random() < 0.2:
    return content[: rng.integers(len(content))]
  damaged = bytearray(content)
  for _ in range(rng.integers(1, 5)):
    place = int(rng.integers(len(content)))
    if rng.random() < 0.5:
      place = int(rng.integers(-200, 200))
    damaged[place] ^= 1 << int(rng.integers(8))
  return bytes(damaged)


@pytest.mark.parametrize('suffix', WRITERS)
def test_damaged_files_are_read_or_refused_in_one_line(suffix, tmp_path):
  """40 of each of the five formats; none crashes, hangs, or takes memory."""
  whole = tmp_path / f'whole.{suffix}'
  WRITERS[suffix](whole, {'conv.weight': np.ones((4, 3, 3, 3)), 'bias': np.ones(4)})
  content = whole.read_bytes()
  path = tmp_path / f'damaged.{suffix}'
  refused = 0
  tracemalloc.start()
  try:
    for seed in range(40):
      path.write_bytes(mutate(content, np.random.default_rng(seed)))
      began = time.monotonic()
      try:
        found = checkpoints.read(path)
        assert found and all(isinstance(a, np.ndarray) for a in found.values())
      except UserError as error:
        refused += 1
        assert len(str(error).splitlines()) == 1 and str(path) in str(error)
      assert time.monotonic() - began < 10
    assert tracemalloc.get_traced_memory()[1] < 2e7
  finally:
    tracemalloc.stop()
  assert 10 <= refused < 40
