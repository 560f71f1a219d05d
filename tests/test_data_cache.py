import json
import os

import numpy as np
import pytest

from symjax.data import cache
from symjax.errors import UserError

IMAGES = np.arange(240, dtype=np.uint8).reshape(5, 4, 4, 3)
LABELS = np.array([3, 1, 4, 1, 5], np.int32)
BLOCKS = [(IMAGES[:2], LABELS[:2]), (IMAGES[2:], LABELS[2:])]


@pytest.fixture
def folder(tmp_path):
  return tmp_path / 'decoded' / 'train'


def test_blocks_come_back_as_whole_arrays(folder):
  cache.write(folder, len(IMAGES), BLOCKS)
  images, labels = cache.read(folder)
  assert (images == IMAGES).all() and images.dtype == IMAGES.dtype
  assert (labels == LABELS).all() and labels.dtype == LABELS.dtype


def test_the_record_tells_shapes_and_types(folder):
  cache.write(folder, len(IMAGES), BLOCKS)
  record = json.loads((folder / 'cache.json').read_text())
  assert record['images']['shape'] == [5, 4, 4, 3]
  assert record['images']['dtype'] == 'uint8'
  assert record['labels']['shape'] == [5]
  assert record['labels']['dtype'] == 'int32'


def test_labels_may_be_maps(folder):
  maps = IMAGES[..., 0]
  cache.write(folder, 5, [(IMAGES[:3], maps[:3]), (IMAGES[3:], maps[3:])])
  images, labels = cache.read(folder)
  assert (images == IMAGES).all() and (labels == maps).all()
  assert labels.dtype == np.uint8 and isinstance(labels, np.memmap)


def flip_last_byte(folder):
  content = bytearray((folder / 'images.npy').read_bytes())
  content[-1] ^= 1
  (folder / 'images.npy').write_bytes(content)


def truncate(name):
  return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size // 2)


DAMAGES = {
  'one bit': flip_last_byte,
  'short images': truncate('images.npy'),
  'short labels': truncate('labels.npy'),
  'short record': truncate('cache.json'),
  'empty images': lambda folder: os.truncate(folder / 'images.npy', 0),
  'no record': lambda folder: (folder / 'cache.json').unlink(),
  'other record': lambda folder: (folder / 'cache.json').write_text('{"images": 3}'),
  'other record kind': lambda folder: (folder / 'cache.json').write_text('[]'),
}


@pytest.mark.parametrize('damage', DAMAGES)
def test_damage_is_noticed(folder, damage):
  cache.write(folder, len(IMAGES), BLOCKS)
  DAMAGES[damage](folder)
  with pytest.raises(UserError, match='delete that folder') as failure:
    cache.read(folder)
  assert str(folder) in str(failure.value)
  assert '\n' not in str(failure.value)


def test_a_full_disk_leaves_nothing_half_written(folder, monkeypatch):
  def full(*args):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(cache.np.lib.format, 'write_array_header_1_0', full)
  with pytest.raises(UserError, match='No space left') as failure:
    cache.write(folder, len(IMAGES), BLOCKS)
  assert str(folder.parent) in str(failure.value)
  assert '\n' not in str(failure.value)
  assert not list(folder.parent.iterdir())


def test_a_failure_of_the_blocks_leaves_nothing_half_written(folder):
  def blocks():
    yield BLOCKS[0]
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    cache.write(folder, len(IMAGES), blocks())
  assert not list(folder.parent.iterdir())


def test_of_two_writers_the_first_to_finish_wins(folder):
  def slow_blocks():
    cache.write(folder, len(IMAGES), BLOCKS)
    yield from BLOCKS

  cache.write(folder, len(IMAGES), slow_blocks())
  assert (cache.read(folder)[0] == IMAGES).all()
  assert list(folder.parent.iterdir()) == [folder]
