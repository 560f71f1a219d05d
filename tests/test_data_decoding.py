import io
import pathlib

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from symjax import data
from symjax.data.decoding import decode_image
from symjax.errors import UserError

REAL = pathlib.Path(__file__).parents[2] / 'shared' / 'data' / 'tfds'


class VariedImages(tfds.core.GeneratorBasedBuilder):
  """Images of three sizes, with a class and an identity."""

  VERSION = tfds.core.Version('1.0.0')

  def _info(self):
    features = {
      'picture': tfds.features.Image(shape=(None, None, 3)),
      'kind': tfds.features.ClassLabel(num_classes=3),
      'id': tfds.features.Text(),
    }
    return tfds.core.DatasetInfo(
      builder=self, features=tfds.features.FeaturesDict(features)
    )

  def _split_generators(self, dl_manager):
    return {'train': self._generate_examples()}

  def _generate_examples(self):
    for index in range(9):
      png = io.BytesIO()
      Image.new('RGB', (20 + index, 30 - index), (index, 0, 0)).save(png, 'PNG')
      yield index, {'picture': png.getvalue(), 'kind': index % 3, 'id': str(index)}


@pytest.fixture(autouse=True)
def user_cache(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'user'))


def test_images_that_vary_in_size_need_one(tmp_path):
  VariedImages(data_dir=tmp_path).download_and_prepare(
    file_format='array_record',
    download_config=tfds.download.DownloadConfig(try_download_gcs=False),
  )
  with pytest.raises(UserError, match='image_size') as failure:
    data.load('varied_images', 'train', tmp_path)
  assert '\n' not in str(failure.value)
  for size in (8, 40):
    loaded = data.load('varied_images', 'train', tmp_path, image_size=(size, size))
    assert loaded.images.shape == (9, size, size, 3)
    order = loaded.images[:, 0, 0, 0]
    assert sorted(order) == list(range(9))
    assert (loaded.labels == order % 3).all()
    assert (loaded.images == order[:, None, None, None] * [1, 0, 0]).all()


def encoded(pixels):
  png = io.BytesIO()
  Image.fromarray(pixels).save(png, 'PNG')
  return png.getvalue()


@pytest.mark.parametrize('size', [4, 8, 16])
@pytest.mark.parametrize('turn', [False, True])
def test_resizing_keeps_the_central_square(size, turn):
  ramp = np.tile(np.arange(24, dtype=np.uint8) * 10, (8, 1))
  ramp = ramp.T if turn else ramp
  square = decode_image(encoded(ramp), 1, (size, size))[..., 0].astype(float)
  square = square.T if turn else square
  # The middle of the square is the middle of the image, and its sides lie 4 pixels off.
  centers = 115 + 80 * ((np.arange(size) + 0.5) / size - 0.5)
  assert abs(square - centers).max() <= 1


def test_resizing_is_antialiased():
  checkerboard = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
  small = decode_image(encoded(checkerboard), 1, (8, 8))
  assert small.shape == (8, 8, 1)
  assert abs(small.astype(float) - 127.5).max() < 4


def test_grey_images_get_the_channels_of_their_set():
  grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
  assert (decode_image(encoded(grey), 3, None) == grey[..., None]).all()


@pytest.mark.filterwarnings('ignore')  # TFDS's own decoding may warn.
@pytest.mark.parametrize('name', ['mnist', 'cifar10'])
def test_real_images_are_what_tfds_decodes(name):
  if not REAL.exists():
    pytest.skip('the data sets are not here')
  loaded = data.load(name, 'test', REAL)
  (folder,) = (REAL / name).iterdir()
  source = tfds.builder_from_directory(folder).as_data_source('test')
  assert len(source) == len(loaded.images) == len(loaded.labels)
  indices = list(range(0, len(source), 7))
  for index, example in zip(indices, source.__getitems__(indices), strict=True):
    assert (loaded.images[index] == example['image']).all()
    assert loaded.labels[index] == example['label']


def test_a_part_of_a_set_says_so():
  if not REAL.exists():
    pytest.skip('the data sets are not here')
  loaded = data.load('cifar10', 'test', REAL)
  assert 'PART' in loaded.description
  assert len(loaded.labels) == 1017


def test_a_central_crop_is_that_of_the_larger_image():
  """224 pixels of a shorter side of 256, as networks for ImageNet are tested."""
  rng = np.random.default_rng(0)
  small = rng.integers(0, 256, (30, 40, 3), np.uint8)
  picture = io.BytesIO()
  Image.fromarray(small).resize((500, 375)).save(picture, 'PNG')
  whole = decode_image(picture.getvalue(), 3, (256, 256))
  central = decode_image(picture.getvalue(), 3, (224, 224), 224 / 256)
  np.testing.assert_array_equal(central, whole[16:240, 16:240])


@pytest.mark.parametrize('share', [0.0, -0.5, 1.5, float('nan')])
def test_what_is_no_share_is_refused(tmp_path, share):
  VariedImages(data_dir=tmp_path).download_and_prepare(
    file_format='array_record',
    download_config=tfds.download.DownloadConfig(try_download_gcs=False),
  )
  with pytest.raises(UserError, match='data.center_crop=.* at most 1'):
    data.load('varied_images', 'train', tmp_path, image_size=(8, 8), center_crop=share)
