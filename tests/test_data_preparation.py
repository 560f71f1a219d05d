import concurrent.futures
import hashlib
import importlib.util
import io
import pathlib
import time

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.download import checksums, resource

from symjax import data
from symjax.data import builders, preparation, rendered_digits
from symjax.data.requirements import requested_urls, required_files
from symjax.errors import UserError

REAL = pathlib.Path(__file__).parents[2] / 'shared' / 'data'
URL = 'https://example.org/files/pixels.bin?download=1'
PIXELS = np.random.default_rng(0).integers(256, size=(6, 5, 5, 1), dtype=np.uint8)
SHA256 = hashlib.sha256(PIXELS.tobytes()).hexdigest()
MNIST_FILES = [
  f'{split}-{kind}-ubyte.gz'
  for split in ('train', 't10k')
  for kind in ('images-idx3', 'labels-idx1')
]


class DownloadedPixels(tfds.core.GeneratorBasedBuilder):
  """A set made from one downloaded file, which needs no TensorFlow."""

  VERSION = tfds.core.Version('1.0.0')
  url_infos = {
    URL: checksums.UrlInfo(size=PIXELS.size, checksum=SHA256, filename='pixels.bin'),
    'https://example.org/unused': checksums.UrlInfo(
      size=1, checksum='00' * 32, filename='unused.bin'
    ),
  }

  def _info(self):
    features = {
      'image': tfds.features.Image(shape=(5, 5, 1)),
      'label': tfds.features.ClassLabel(num_classes=2),
    }
    return tfds.core.DatasetInfo(
      builder=self, features=tfds.features.FeaturesDict(features)
    )

  def _split_generators(self, dl_manager):
    (path,) = dl_manager.download([URL])
    return {'train': self._generate_examples(path)}

  def _generate_examples(self, path):
    pixels = np.frombuffer(pathlib.Path(path).read_bytes(), np.uint8)
    for index, image in enumerate(pixels.reshape(-1, 5, 5)):
      yield index, {'image': to_png(image), 'label': index % 2}


def to_png(image):
  png = io.BytesIO()
  Image.fromarray(image).save(png, 'PNG')
  return png.getvalue()


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
  monkeypatch.setattr(preparation, 'reachable', lambda urls: False)


@pytest.fixture
def with_tensorflow(monkeypatch):
  monkeypatch.setattr(preparation, '_is_absent', lambda library: False)


@pytest.fixture
def without_tensorflow(monkeypatch):
  monkeypatch.setattr(preparation, '_is_absent', lambda library: True)


@pytest.fixture
def folders(tmp_path):
  manual = tmp_path / 'manual'
  manual.mkdir()
  return tmp_path / 'data', manual


def fails(name, data_dir, manual_dir=None):
  start = time.monotonic()
  with pytest.raises(UserError) as failure:
    data.load(name, 'train', data_dir, manual_dir and str(manual_dir))
  assert time.monotonic() - start < 8
  assert '\n' not in str(failure.value)
  return str(failure.value)


def test_missing_files_are_all_named_at_once(folders, without_tensorflow):
  data_dir, manual = folders
  message = fails('mnist', data_dir, manual)
  for name in MNIST_FILES:
    assert name in message
  assert '440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609' in message
  for part in (str(manual), '--manual_dir', 'symjax[prepare]', 'configs/digits_vgg.py'):
    assert part in message
  assert not data_dir.exists()


def test_only_what_is_missing_is_asked_for(folders, with_tensorflow):
  message = fails('mnist', folders[0])
  assert 'symjax[prepare]' not in message
  assert str(folders[0] / 'downloads' / 'manual') in message


def test_files_to_get_by_hand_are_not_probed_for(folders, monkeypatch):
  monkeypatch.setattr(preparation, 'reachable', None)
  assert 'ILSVRC2012_img_train.tar' in fails('imagenet2012', folders[0])


def test_missing_tensorflow_is_named(folders, monkeypatch, without_tensorflow):
  monkeypatch.setattr(preparation, 'reachable', lambda urls: True)
  message = fails('mnist', folders[0])
  assert 'TensorFlow' in message
  assert "pip install -e '.[prepare]'" in message


def test_a_wrong_file_is_named(folders):
  data_dir, manual = folders
  wrong = manual / 't10k-labels-idx1-ubyte.gz'
  wrong.write_bytes(bytes(4542))  # Of the right size.
  message = fails('mnist', data_dir, manual)
  assert str(wrong) in message
  assert 'f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6' in message


def test_a_set_is_prepared_from_the_file_at_hand(folders, with_tensorflow):
  data_dir, manual = folders
  assert 'pixels.bin' in fails('downloaded_pixels', data_dir, manual)
  (manual / 'pixels.bin').write_bytes(PIXELS.tobytes())
  loaded = data.load('downloaded_pixels', 'train', data_dir, str(manual))
  assert sorted(x.tobytes() for x in loaded.images) == sorted(
    x.tobytes() for x in PIXELS
  )


def test_only_requested_files_are_required(tmp_path):
  (file,) = required_files(DownloadedPixels(data_dir=tmp_path), tmp_path, None)
  assert (file.name, file.url, file.size) == ('pixels.bin', URL, PIXELS.size)
  assert (file.path, file.intact) == (None, False)


@pytest.mark.parametrize('place', ['downloads/downloaded_pixels', 'downloads'])
def test_what_tfds_downloaded_is_found(tmp_path, place):
  path = tmp_path / place / resource.get_dl_fname(URL, SHA256)
  path.parent.mkdir(parents=True)
  path.write_bytes(PIXELS.tobytes())
  builder = DownloadedPixels(data_dir=tmp_path)
  (file,) = required_files(builder, tmp_path, None)
  assert (file.path, file.intact) == (path, True)
  path.write_bytes(PIXELS.tobytes()[:-1])
  (file,) = required_files(builder, tmp_path, None)
  assert (file.path, file.intact) == (path, False)


@pytest.mark.parametrize(
  'name, ending, count',
  [
    ('mnist', '-ubyte.gz', 4),
    ('svhn_cropped', '_32x32.mat', 3),
    ('cifar10', 'cifar-10-binary.tar.gz', 1),  # Its builder reads on, and fails.
    ('imagenette/160px-v2', 'imagenette2-160.tgz', 1),  # Of six that are registered.
  ],
)
def test_stock_builders_tell_what_they_download(tmp_path, name, ending, count):
  urls = requested_urls(builders.make_builder(name, tmp_path))
  assert len(urls) == count
  assert all(url.endswith(ending) for url in urls)


def test_a_folder_that_may_not_be_written_is_named(tmp_path):
  tmp_path.chmod(0o555)
  try:
    assert str(tmp_path / 'data') in fails('rendered_digits', tmp_path / 'data')
  finally:
    tmp_path.chmod(0o755)


def test_a_failure_of_tfds_is_one_line(folders, with_tensorflow, monkeypatch):
  def fail(*args, **kwargs):
    raise RuntimeError('two\nlines')

  monkeypatch.setattr(DownloadedPixels, '_generate_examples', fail)
  data_dir, manual = folders
  (manual / 'pixels.bin').write_bytes(PIXELS.tobytes())
  assert 'two lines' in fails('downloaded_pixels', data_dir, manual)
  assert not (data_dir / 'downloaded_pixels' / '1.0.0').exists()


def test_of_many_processes_one_prepares(tmp_path, monkeypatch):
  monkeypatch.setattr(rendered_digits, 'NUM_EXAMPLES', {'train': 5, 'test': 5})
  prepared = []
  original = preparation._prepare

  def slow(*args):
    prepared.append(args)
    time.sleep(0.2)
    original(*args)

  monkeypatch.setattr(preparation, '_prepare', slow)
  with concurrent.futures.ThreadPoolExecutor(3) as pool:
    found = pool.map(
      lambda _: preparation.prepare('rendered_digits', tmp_path, None), range(3)
    )
    assert len({builder.data_path for builder in found}) == 1
  assert len(prepared) == 1


def test_the_report_tells_each_file_apart(folders):
  data_dir, manual = folders
  lines = data.requirement_lines('mnist', str(data_dir), str(manual))
  assert str(data_dir) in lines[0] and str(manual) in lines[0]
  assert 'not prepared' in lines
  assert sum(line.startswith('missing:') for line in lines) == 4
  (manual / MNIST_FILES[0]).write_bytes(b'')
  lines = data.requirement_lines('mnist', str(data_dir), str(manual))
  (corrupt,) = [line for line in lines if line.startswith('corrupt:')]
  assert str(manual / MNIST_FILES[0]) in corrupt
  (manual / 'pixels.bin').write_bytes(PIXELS.tobytes())
  lines = data.requirement_lines('downloaded_pixels', str(data_dir), str(manual))
  assert [line for line in lines if line.startswith('verified:') and SHA256 in line]


def test_the_report_knows_what_needs_no_files(folders):
  lines = data.requirement_lines('rendered_digits', str(folders[0]))
  assert lines[-1].startswith('needs no files')


def test_the_real_mnist_files_are_intact(tmp_path):
  manual = REAL / 'manual' / 'mnist'
  if not manual.exists():
    pytest.skip('the files are not here')
  builder = builders.make_builder('mnist', tmp_path)
  files = required_files(builder, tmp_path, str(manual))
  assert sorted(file.name for file in files) == sorted(MNIST_FILES)
  assert all(file.intact for file in files)


@pytest.mark.filterwarnings('ignore')  # TensorFlow's.
def test_stock_preparation_gives_the_real_images(tmp_path, monkeypatch):
  if importlib.util.find_spec('tensorflow') is None or not REAL.exists():
    pytest.skip('TensorFlow or the files are not here')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  made = data.load(
    'mnist', 'test', str(tmp_path / 'data'), str(REAL / 'manual' / 'mnist')
  )
  expected = data.load('mnist', 'test', str(REAL / 'tfds'))
  assert (made.images == expected.images).all()
  assert (made.labels == expected.labels).all()
