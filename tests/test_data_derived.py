import dataclasses
import math
import os
import pathlib
import shutil

import numpy as np
import pytest

from symjax import data
from symjax.data import derived, loading, rendered_digits
from symjax.errors import UserError
from symjax.experiments.data import load_splits

COUNTS = {'train': 60, 'test': 20}
SOURCES = {name: recipe.source for name, recipe in derived.DERIVED.items()}
REAL = pathlib.Path(__file__).parent.parent.parent / 'shared/data/tfds/mnist'


@pytest.fixture(autouse=True)
def user_cache(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'user'))


@pytest.fixture(scope='module')
def prepared_digits(tmp_path_factory):
  folder = tmp_path_factory.mktemp('digits')
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(rendered_digits, 'NUM_EXAMPLES', COUNTS)
    data.load('rendered_digits', 'train', folder)
  return folder


@pytest.fixture
def data_dir(prepared_digits, tmp_path, monkeypatch):
  """A prepared set, which the two sets here are made from in place of MNIST."""
  for name, recipe in derived.DERIVED.items():
    stand_in = dataclasses.replace(recipe, source='rendered_digits')
    monkeypatch.setitem(derived.DERIVED, name, stand_in)
  return shutil.copytree(prepared_digits, tmp_path / 'data')


def turned_by_hand(image, angle):
  """Bilinear interpolation at the point that each pixel comes from."""
  size = len(image)
  turned = np.zeros_like(image)
  for i in range(size):
    for j in range(size):
      up, right = (size - 1) / 2 - i, j - (size - 1) / 2
      # Where (right, up) was before it was turned by `angle`, anticlockwise.
      x = math.cos(angle) * right + math.sin(angle) * up + (size - 1) / 2
      y = (size - 1) / 2 - (math.cos(angle) * up - math.sin(angle) * right)
      value = sum(
        max(0, 1 - abs(x - n)) * max(0, 1 - abs(y - m)) * float(image[m, n])
        for m in range(size)
        for n in range(size)
      )
      turned[i, j] = round(value)
  return turned


@pytest.mark.parametrize('angle', [0.3, 2.0, 4.5])
@pytest.mark.parametrize('size', [8, 9])
def test_turning_is_bilinear_interpolation_about_the_centre(size, angle):
  image = np.random.default_rng(0).integers(256, size=(size, size), dtype=np.uint8)
  turned = derived.rotate(image[..., None], angle)[..., 0]
  # A half may round either way.
  assert np.abs(turned.astype(int) - turned_by_hand(image, angle)).max() <= 1


@pytest.mark.parametrize('turns', range(4))
def test_quarter_turns_lose_nothing(turns):
  image = np.random.default_rng(0).integers(256, size=(28, 28, 3), dtype=np.uint8)
  turned = derived.rotate(image, turns * math.pi / 2)
  assert (turned == np.rot90(image, turns)).all()


def test_angles_are_uniform_and_their_own():
  angles = derived.angles('train', 10_000)
  assert 0 <= angles.min() and angles.max() < 2 * math.pi
  # Of n uniform angles every moment is 0 with a standard deviation of n^-1/2.
  for order in (1, 2, 3, 4):
    assert abs(np.exp(1j * order * angles).mean()) < 0.03
  assert len(set(angles)) == len(angles)
  assert (derived.angles('train', 100) == angles[:100]).all()
  assert (derived.angles('test', 100) != angles[:100]).all()


@pytest.mark.parametrize('split', COUNTS)
def test_every_image_is_turned_by_its_angle_under_its_label(data_dir, split):
  upright = data.load('rendered_digits', split, data_dir)
  turned = data.load('rotated_mnist', split, data_dir)
  assert (turned.name, turned.num_classes) == ('rotated_mnist', 10)
  assert (turned.labels == upright.labels).all()
  for image, other, angle in zip(
    upright.images, turned.images, derived.angles(split, COUNTS[split]), strict=True
  ):
    assert (derived.rotate(image, angle) == other).all()


def test_only_sixes_and_nines_are_kept(data_dir):
  digits = data.load('rendered_digits', 'train', data_dir)
  chosen = data.load('mnist_six_nine', 'train', data_dir)
  expected = [i for i, label in enumerate(digits.labels) if label in (6, 9)]
  assert (chosen.images == digits.images[expected]).all()
  assert chosen.num_classes == 2
  assert np.array([6, 9])[chosen.labels].tolist() == digits.labels[expected].tolist()


@pytest.mark.parametrize('name', derived.DERIVED)
def test_a_set_is_made_once_and_mapped_read_only(data_dir, monkeypatch, name):
  first = data.load(name, 'test', data_dir)
  assert first.images.dtype == np.uint8 and first.labels.dtype == np.int32
  assert isinstance(first.images, np.memmap) and not first.images.flags.writeable
  monkeypatch.setattr(loading, '_decode', None)
  recipe = dataclasses.replace(derived.DERIVED[name], make=None)
  monkeypatch.setitem(derived.DERIVED, name, recipe)
  assert (data.load(name, 'test', data_dir).images == first.images).all()


@pytest.mark.parametrize('name', derived.DERIVED)
def test_made_anew_it_is_the_same_and_with_another_source_another(data_dir, name):
  first = np.array(data.load(name, 'test', data_dir).images)
  version = data_dir / 'rendered_digits' / '1.0.0'
  shutil.rmtree(version / 'decoded')
  assert (data.load(name, 'test', data_dir).images == first).all()
  [shard] = version.glob('*test.array_record*')
  os.utime(shard, (1, 1))
  data.load(name, 'test', data_dir)
  assert len(list((version / 'decoded').glob(f'test-{name}-1-*'))) == 2


def test_what_is_seen_of_the_source_tells_two_caches_apart(data_dir):
  whole = data.load('rotated_mnist', 'test', data_dir).images
  seen = dict(image_size=(16, 16), center_crop=0.5)
  assert data.load('rotated_mnist', 'test', data_dir, **seen).image_shape == (16, 16, 3)
  again = data.load('rotated_mnist', 'test', data_dir).images
  np.testing.assert_array_equal(again, whole)


@pytest.mark.parametrize('name', derived.DERIVED)
def test_the_note_names_both_sets(data_dir, name):
  note = data.load(name, 'test', data_dir).description
  assert f'by symjax from {SOURCES[name]}.' in note
  assert 'Rendered house-number digits' in note


@pytest.mark.parametrize(
  'name, classes', [('rotated_mnist', 10), ('mnist_six_nine', 2)]
)
def test_made_up_images_stand_in_for_what_is_absent(tmp_path, name, classes):
  group = dict(name=name, fake=True, image_size=None, train_examples=30)
  group |= {'stream': False, 'crop_area': None, 'center_crop': 1.0}
  splits = load_splits(group | {'test_examples': 10}, str(tmp_path), None)
  assert splits.train.images.shape == (30, 28, 28, 1)
  assert {dataset.num_classes for dataset in splits} == {classes}
  assert set(splits.train.labels) <= set(range(classes))


@pytest.mark.parametrize('name', derived.DERIVED)
def test_what_it_needs_is_what_its_source_needs(tmp_path, name):
  first, *others = data.requirement_lines(name, str(tmp_path))
  assert first.startswith(f'{name} is made from {SOURCES[name]}: ')
  assert others == data.requirement_lines(SOURCES[name], str(tmp_path))


@pytest.mark.parametrize(
  'name, message',
  [
    ('rotated_mnits', 'did you mean .*rotated_mnist.*symjax has camvid, coco'),
    ('rotated_mnist/12k', "write 'rotated_mnist' for 'rotated_mnist/12k'"),
    ('mnist_six_nine:1.0.0', "write 'mnist_six_nine' for 'mnist_six_nine:1.0.0'"),
  ],
)
def test_a_name_that_will_not_do_is_answered(tmp_path, name, message):
  with pytest.raises(UserError, match=message):
    data.load(name, 'train', str(tmp_path))
  assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not REAL.exists(), reason='no MNIST here')
def test_the_real_digits():
  chosen = data.load('mnist_six_nine', 'test', str(REAL.parent))
  assert np.bincount(chosen.labels).tolist() == [958, 1009]  # Of the official test set.
