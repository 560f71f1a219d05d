import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow_datasets as tfds

from symjax import data
from symjax.data import loading, rendered_digits
from symjax.errors import UserError

COUNTS = {'train': 60, 'test': 20}


def prepare(builder):
  builder.download_and_prepare(
    file_format='array_record',
    download_config=tfds.download.DownloadConfig(try_download_gcs=False),
  )


@pytest.fixture(autouse=True)
def user_cache(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'user'))
  return tmp_path / 'user' / 'symjax'


@pytest.fixture(scope='module')
def prepared_digits(tmp_path_factory):
  folder = tmp_path_factory.mktemp('digits')
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(rendered_digits, 'NUM_EXAMPLES', COUNTS)
    prepare(rendered_digits.RenderedDigits(data_dir=folder))
  return folder


@pytest.fixture
def data_dir(prepared_digits, tmp_path):
  return shutil.copytree(prepared_digits, tmp_path / 'data')


def load(data_dir, split='test', **kwargs):
  return data.load('rendered_digits', split, data_dir, **kwargs)


def version_folder(data_dir):
  return data_dir / 'rendered_digits' / '1.0.0'


def refuse(*args, **kwargs):
  raise AssertionError('must not be called')


def one_line(failure):
  assert '\n' not in str(failure.value)
  return str(failure.value)


@pytest.mark.parametrize('split', COUNTS)
def test_a_set_holds_its_pictures_in_order(data_dir, split):
  loaded = load(data_dir, split)
  assert loaded.images.shape == (COUNTS[split], 32, 32, 3)
  assert loaded.images.dtype == np.uint8
  assert loaded.labels.dtype == np.int32
  assert (loaded.name, loaded.split, loaded.num_classes) == (
    'rendered_digits',
    split,
    10,
  )
  for index in range(COUNTS[split]):
    picture, label = rendered_digits.rendered_digit(split, index)
    assert (loaded.images[index] == np.asarray(picture)).all()
    assert loaded.labels[index] == label


def test_arrays_are_mapped_and_read_only(data_dir):
  loaded = load(data_dir)
  assert isinstance(loaded.images, np.memmap)
  for array in (loaded.images, loaded.labels):
    assert not array.flags.writeable


def test_a_set_that_is_absent_is_prepared(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(rendered_digits, 'NUM_EXAMPLES', COUNTS)
  loaded = load(tmp_path / 'new' / 'place')
  assert len(loaded.labels) == COUNTS['test']
  said = capsys.readouterr()
  assert not said.out
  assert 'preparing rendered_digits' in said.err


def test_images_are_decoded_once(data_dir, monkeypatch, capsys):
  first = load(data_dir)
  assert 'decoding' in capsys.readouterr().err
  monkeypatch.setattr(loading, 'decoded_blocks', refuse)
  second = load(data_dir)
  assert (first.images == second.images).all()
  assert (first.labels == second.labels).all()
  assert not capsys.readouterr().err


def test_a_set_prepared_anew_is_decoded_anew(data_dir):
  load(data_dir)
  info = version_folder(data_dir) / 'dataset_info.json'
  content = json.loads(info.read_text())
  content['description'] = 'Other\npictures.'
  info.write_text(json.dumps(content))
  assert load(data_dir).description == 'Other pictures.'
  assert len(list((version_folder(data_dir) / 'decoded').iterdir())) == 2
  (shard,) = version_folder(data_dir).glob('*test.array_record*')
  os.utime(shard, (1, 1))
  load(data_dir)
  assert len(list((version_folder(data_dir) / 'decoded').iterdir())) == 3


def test_a_damaged_cache_is_named_and_can_be_deleted(data_dir):
  intact = np.array(load(data_dir).images)
  (folder,) = (version_folder(data_dir) / 'decoded').iterdir()
  os.truncate(folder / 'images.npy', 1000)
  with pytest.raises(UserError, match='delete that folder') as failure:
    load(data_dir)
  assert str(folder) in one_line(failure)
  shutil.rmtree(folder)
  assert (load(data_dir).images == intact).all()


def test_what_nobody_may_write_is_left_alone(data_dir, user_cache, monkeypatch):
  folder = version_folder(data_dir)
  before = sorted(folder.iterdir())
  folder.chmod(0o555)
  try:
    load(data_dir)
    assert sorted(folder.iterdir()) == before
    (entry,) = (user_cache / 'rendered_digits-1.0.0').iterdir()
    assert entry.name.startswith('test-')
    monkeypatch.setattr(loading, 'decoded_blocks', refuse)
    load(data_dir)
  finally:
    folder.chmod(0o755)


def test_images_beyond_memory_are_refused(data_dir, monkeypatch):
  monkeypatch.setattr(loading, 'physical_memory', lambda: 20 * 32 * 32 * 3 * 2 - 1)
  with pytest.raises(UserError, match='GiB') as failure:
    load(data_dir)
  one_line(failure)
  monkeypatch.setattr(loading, 'physical_memory', lambda: 20 * 32 * 32 * 3 * 2)
  load(data_dir)


def test_tfrecord_files_are_refused_with_the_way_out(data_dir):
  info = version_folder(data_dir) / 'dataset_info.json'
  info.write_text(info.read_text().replace('array_record', 'tfrecord'))
  with pytest.raises(UserError, match='tfds convert_format') as failure:
    load(data_dir)
  assert f'--dataset_version_dir={version_folder(data_dir)}' in one_line(failure)


@pytest.mark.parametrize('name', ['dataset_info.json', 'features.json'])
def test_a_damaged_description_is_named(data_dir, name):
  (version_folder(data_dir) / name).write_text('{')
  with pytest.raises(UserError, match='delete its folder') as failure:
    load(data_dir)
  one_line(failure)


def test_a_missing_shard_is_named(data_dir):
  (shard,) = version_folder(data_dir).glob('*test.array_record*')
  shard.unlink()
  with pytest.raises(UserError, match='prepare the set again') as failure:
    load(data_dir)
  assert str(shard) in one_line(failure)


def test_a_damaged_shard_is_named(data_dir):
  (shard,) = version_folder(data_dir).glob('*test.array_record*')
  shard.write_bytes(bytes(len(shard.read_bytes())))
  with pytest.raises(UserError, match='is damaged') as failure:
    load(data_dir)
  assert str(version_folder(data_dir)) in one_line(failure)
  assert not list((version_folder(data_dir) / 'decoded').iterdir())


def test_a_split_without_examples_is_refused(data_dir):
  info = version_folder(data_dir) / 'dataset_info.json'
  content = json.loads(info.read_text())
  (test,) = [split for split in content['splits'] if split['name'] == 'test']
  test['shardLengths'] = ['0']
  info.write_text(json.dumps(content))
  with pytest.raises(UserError, match='1.0.0 test has no examples') as failure:
    load(data_dir)
  one_line(failure)


def test_an_unknown_split_is_answered_with_the_known_ones(data_dir):
  with pytest.raises(UserError, match='train, test') as failure:
    load(data_dir, 'validation')
  one_line(failure)


@pytest.mark.parametrize(
  'name, message',
  [
    ('cifar11', 'cifar10'),
    ('renderd_digits', 'rendered_digits'),
    ('imagenette/160', '160px'),
    ('mnist/zzz', 'it has none'),
    ('mnist:9.9.9', '3.0.1'),
    ('no such name', 'name/config'),
    ('huggingface:mnist', 'unknown data set'),
    ('voc/2007', 'not a set of labelled images'),
    ('imdb_reviews', 'not a set of labelled images'),
  ],
)
def test_a_name_that_will_not_do_is_answered_at_once(tmp_path, name, message):
  start = time.monotonic()
  with pytest.raises(UserError, match=message) as failure:
    data.load(name, 'train', tmp_path)
  one_line(failure)
  assert time.monotonic() - start < 5
  assert not list(tmp_path.iterdir())


def test_loading_imports_no_heavy_library(data_dir):
  program = (
    'import sys; from symjax import data; '
    f'data.load("rendered_digits", "test", {str(data_dir)!r}); '
    'heavy = {"tensorflow", "matplotlib", "jax"} & set(sys.modules); '
    'sys.exit(str(heavy) if heavy else 0)'
  )
  done = subprocess.run(
    [sys.executable, '-c', program], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr


def test_images_of_one_size_are_seen_by_their_centre_if_that_is_asked_for(data_dir):
  whole = load(data_dir).images
  central = load(data_dir, image_size=(16, 16), center_crop=0.5).images
  assert central.shape == (20, 16, 16, 3)
  np.testing.assert_array_equal(central, whole[:, 8:24, 8:24])
