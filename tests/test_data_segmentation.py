"""Sets of images and label maps, from files like the published ones."""

import dataclasses
import hashlib
import os
import pathlib
import tarfile

import numpy as np
import pytest
import segmentation_files as files

from symjax import data
from symjax.data import coco_masks, preparation
from symjax.data.coco_voc import CocoVoc
from symjax.data.voc_segmentation import VocSegmentation
from symjax.errors import UserError

# pycocotools 2.0.11 hands numpy an array in a way that numpy will give up.
pytestmark = pytest.mark.filterwarnings(
  'ignore:__array__ implementation:DeprecationWarning'
)
REAL = pathlib.Path(__file__).parents[2] / 'shared' / 'data' / 'manual' / 'camvid'


@pytest.fixture(autouse=True)
def user_cache(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'user'))


@pytest.fixture
def manual(tmp_path):
  folder = tmp_path / 'manual'
  folder.mkdir()
  return folder


def load(name, split, manual, **kwargs):
  return data.load(name, split, manual.parent / 'data', str(manual), **kwargs)


def fails(name, manual, message, split='train', **kwargs):
  with pytest.raises(UserError, match=message) as failure:
    load(name, split, manual, **kwargs)
  assert '\n' not in str(failure.value)
  # Neither a set half prepared nor a cache half written.
  assert not list((manual.parent / 'data').glob('*/1.0.0/*.array_record*'))
  return str(failure.value)


@pytest.mark.parametrize('prefix', ['', '/SegNet/CamVid/'])
def test_camvid_is_read_as_the_tutorial_lays_it_out(manual, prefix):
  files.camvid(manual, prefix)
  for split, name in (('train', 'train'), ('validation', 'val'), ('test', 'test')):
    loaded = load('camvid', split, manual)
    assert loaded.images.shape == (files.CAMVID[name], 12, 16, 3)
    assert loaded.labels.dtype == loaded.images.dtype == np.uint8
    for i, labels in enumerate(loaded.labels):
      assert (loaded.images[i] == (i, 7, 9)).all()
      assert (labels == files.labels_of(i)).all()
  assert (loaded.kind, loaded.num_classes, loaded.ignore_label) == (
    'segmentation',
    11,
    11,
  )
  assert loaded.class_names[0] == 'sky' and loaded.class_names[10] == 'bicyclist'
  assert len(loaded.class_names) == 11
  assert isinstance(loaded.labels, np.memmap)


def test_labels_are_resized_with_their_images(manual):
  files.camvid(manual)
  half = load('camvid', 'test', manual, image_size=(6, 8))
  assert half.images.shape == (3, 6, 8, 3)
  whole = load('camvid', 'test', manual)
  # The nearest pixel: 2x2 pixels have their middle on the edge of the last.
  assert (half.labels == whole.labels[:, 1::2, 1::2]).all()
  wide = load('camvid', 'test', manual, image_size=(6, 10))
  assert (wide.labels[:, :, :8] == half.labels).all()
  assert (wide.labels[:, :, 8:] == 11).all() and not wide.images[:, :, 8:].any()


def damage_listing(manual, text):
  (manual / 'val.txt').write_text(text)


def relabel(manual, labels):
  files.write(manual / 'valannot' / '0001.png', files.encoded(labels))


MISTAKES = {
  'a label without a class': (
    lambda manual: relabel(manual, files.labels_of(12)),
    r'valannot/0001.png has label 12: labels are 0 to 10, or 11 to be ignored',
  ),
  'labels of another size': (
    lambda manual: relabel(manual, files.labels_of(1)[:-1]),
    r'val/0001.png has 16x12 pixels, and .*valannot/0001.png 16x11: .* equally large',
  ),
  'colours in place of labels': (
    lambda manual: relabel(manual, np.zeros((12, 16, 3), np.uint8)),
    r'valannot/0001.png is an image of mode RGB: labels are class ids',
  ),
  'half an image': (
    lambda manual: os.truncate(manual / 'test' / '0002.png', 48),
    r'test/0002.png cannot be read as an image',
  ),
  'no image': (
    lambda manual: (manual / 'trainannot' / '0003.png').write_text('sky'),
    r'trainannot/0003.png cannot be read as an image',
  ),
  'missing files': (
    lambda manual: damage_listing(
      manual, '\n'.join(f'val/{i}.png valannot/{i}.png' for i in range(40))
    ),
    r'val.txt needs 80 files of .*manual, of which 80 are missing: val/0.png, '
    r'valannot/0.png, val/1.png, \.\.\.$',
  ),
  'an empty split': (
    lambda manual: damage_listing(manual, '\n \n'),
    r'val.txt names no images: the split is empty',
  ),
  'a line of one path': (
    lambda manual: damage_listing(manual, 'val/0000.png\n'),
    r"val.txt has the line 'val/0000.png': a line is the path of an image and",
  ),
  'no list': (
    lambda manual: (manual / 'test.txt').unlink(),
    r'camvid is not prepared in .*: put test.txt \(from https://github.com/.*\) into '
    r'.*manual \(--manual_dir\); or try',
  ),
}


@pytest.mark.parametrize('mistake', MISTAKES)
def test_a_mistake_is_named_and_nothing_is_prepared(manual, mistake):
  files.camvid(manual)
  make, message = MISTAKES[mistake]
  make(manual)
  assert 'extra' not in fails('camvid', manual, message)


def test_the_report_tells_what_is_found(manual):
  files.camvid(manual)
  (manual / 'val.txt').unlink()
  lines = data.requirement_lines('camvid', str(manual.parent / 'data'), str(manual))
  assert [line[:9] for line in lines[2:]] == ['found:   ', 'missing: ', 'found:   ']
  assert 'not prepared' in lines
  lines = data.requirement_lines('coco_voc', str(manual.parent / 'data'), str(manual))
  assert [line.split()[1:4] for line in lines[2:]] == [
    ['annotations/', 'or', 'annotations_trainval2017.zip'],
    ['train2017/', 'or', 'train2017.zip'],
    ['val2017/', 'or', 'val2017.zip'],
  ]
  assert all('sha256' in line for line in lines[2:])


def test_voc_keeps_its_palette_s_numbers_on_a_canvas(manual):
  files.voc(manual)
  assert 'vary in size' in fails_to_load_without_a_size(manual)
  # Twice as large, or until the longer side meets the edge.
  loaded = load('voc_segmentation', 'train', manual, image_size=(40, 40))
  assert loaded.images.shape == (3, 40, 40, 3)
  assert (loaded.num_classes, loaded.ignore_label) == (21, 255)
  sizes = [(26, 40), (40, 26), (40, 40)]
  for i, (height, width) in enumerate(sizes):
    labels = loaded.labels[i]
    assert (labels[height:] == 255).all() and (labels[:, width:] == 255).all()
    placed = labels[:height, :width]
    rows = (np.arange(height) + 0.5) * files.VOC_SIZES[i][0] // height
    assert (placed == files.voc_labels(i)[rows.astype(int), :1]).all()
    grey = loaded.images[i, :height, :width].astype(int)
    assert abs(grey - 40 * i - 40).max() <= 2
  shorter = load(
    'voc_segmentation', 'train', manual, image_size=(40, 40), shorter_side=10
  )
  seen = [(labels[1, 1], (labels != 255).any(0).sum()) for labels in shorter.labels]
  assert seen == [(1, 15), (2, 10), (3, 10)]
  assert len(load('voc_segmentation', 'validation', manual, image_size=(8, 8)).labels)


def fails_to_load_without_a_size(manual):
  with pytest.raises(UserError) as failure:
    load('voc_segmentation', 'train', manual)
  return str(failure.value)


def pack_voc(manual, monkeypatch):
  """Leaves the archive alone there, and makes its sha256 the published one."""
  files.voc(manual.parent / 'unpacked')
  archive = manual / 'VOCtrainval_11-May-2012.tar'
  with tarfile.open(archive, 'w') as tar:
    tar.add(manual.parent / 'unpacked' / 'VOCdevkit', 'VOCdevkit')
  content = archive.read_bytes()
  source = dataclasses.replace(
    VocSegmentation.SOURCES[0],
    size=len(content),
    sha256=hashlib.sha256(content).hexdigest(),
  )
  monkeypatch.setattr(VocSegmentation, 'SOURCES', (source,))
  return archive


def test_an_archive_gives_what_it_unpacks_to(manual, monkeypatch):
  pack_voc(manual, monkeypatch)
  packed = load('voc_segmentation', 'train', manual, image_size=(30, 30))
  (manual.parent / 'other').mkdir()
  unpacked = data.load(
    'voc_segmentation',
    'train',
    manual.parent / 'other',
    str(manual.parent / 'unpacked'),
    (30, 30),
  )
  assert (packed.images == unpacked.images).all()
  assert (packed.labels == unpacked.labels).all()


def test_a_shorter_side_of_nothing_is_refused(manual, monkeypatch):
  pack_voc(manual, monkeypatch)
  size = {'image_size': (30, 30), 'shorter_side': 0}
  with pytest.raises(UserError, match='shorter side 0, cannot be'):
    load('voc_segmentation', 'train', manual, **size)


def test_an_archive_cut_short_is_refused(manual, monkeypatch):
  archive = pack_voc(manual, monkeypatch)
  (source,) = VocSegmentation.SOURCES
  os.truncate(archive, 3000)
  size = {'image_size': (30, 30)}
  message = 'VOCtrainval_11-May-2012.tar is not the file .* its sha256 should be'
  fails('voc_segmentation', manual, message, **size)
  # Even where its sha256 is not looked at.
  with pytest.raises(UserError, match='cannot be read or is not whole') as failure:
    source.files(manual)
  assert source.url in str(failure.value)
  archive.unlink()
  fails(
    'voc_segmentation',
    manual,
    'put VOCdevkit/VOC2012/ or VOCtrainval_11-May-2012.tar',
    **size,
  )


def test_coco_s_masks_are_unions_and_what_two_cover_is_void():
  pytest.importorskip('pycocotools')
  shapes = [
    (15, [files.rectangle(0, 0, 4, 4), files.rectangle(2, 2, 6, 6)]),
    (12, [files.rectangle(5, 5, 8, 9)]),
    (3, [files.rectangle(5, 5, 6, 6)]),
    (7, {'counts': [7, 1, 80 - 8], 'size': [8, 10]}),
  ]
  expected = np.zeros((8, 10), np.uint8)
  expected[:4, :4] = expected[2:6, 2:6] = 15
  expected[5:8, 5:9] = 12
  expected[5, 5] = 255
  expected[7, 0] = 7
  assert (coco_masks.label_map(shapes, 8, 10, 255) == expected).all()


def test_coco_becomes_voc(manual, monkeypatch):
  pytest.importorskip('pycocotools')
  files.coco(manual)
  train = load('coco_voc', 'train', manual)
  # Image 5 has not enough of its bus, image 4 nothing of a VOC class.
  assert train.images.shape == (1, *files.COCO_SIZE, 3)
  assert abs(train.images[0].astype(int) - 60).max() <= 2
  expected = np.zeros(files.COCO_SIZE, np.uint8)
  expected[:10, :10] = expected[20:30, :10] = 15
  expected[5:40, 5:30] = 12
  expected[5:10, 5:10] = expected[20:30, 5:10] = 255
  assert (train.labels[0] == expected).all()
  validation = load('coco_voc', 'validation', manual)
  assert validation.images[:, 0, 0, 0].tolist() == [140, 160]  # By their ids.
  assert not validation.labels[0].any()
  crowd = np.zeros(files.COCO_SIZE, np.uint8)
  crowd[35:, :2] = 15
  assert (validation.labels[1] == crowd).all()

  # The same from the archives.
  packed = manual.parent / 'packed'
  packed.mkdir()
  archives = {source.archive: source.path for source in CocoVoc.SOURCES}
  files.zipped(manual, archives, packed)
  sources = [
    dataclasses.replace(
      source,
      size=(packed / source.archive).stat().st_size,
      sha256=hashlib.sha256((packed / source.archive).read_bytes()).hexdigest(),
    )
    for source in CocoVoc.SOURCES
  ]
  monkeypatch.setattr(CocoVoc, 'SOURCES', tuple(sources))
  again = data.load('coco_voc', 'train', packed / 'data', str(packed))
  assert (again.labels == train.labels).all()
  os.truncate(packed / 'val2017.zip', 100)
  with pytest.raises(UserError, match='val2017.zip cannot be read or is not whole'):
    sources[2].files(packed)


def no_image(manual):
  (manual / 'train2017' / f'{3:012}.jpg').unlink()


COCO_MISTAKES = {
  'half a file': (
    lambda manual: os.truncate(manual / 'annotations/instances_val2017.json', 100),
    'instances_val2017.json is not a whole file of COCO instances',
  ),
  'another JSON': (
    lambda manual: (manual / 'annotations/instances_val2017.json').write_text('[1]'),
    'instances_val2017.json is not a whole file of COCO instances',
  ),
  'no image': (
    no_image,
    'instances_train2017.json needs 1 files .* 1 are missing: 000000000003.jpg',
  ),
  'nothing to train on': (
    lambda manual: files.coco(manual, files.COCO_TRAIN[2:]),
    'instances_train2017.json names no images with enough of a VOC class',
  ),
  'no annotations': (
    lambda manual: (manual / 'annotations/instances_val2017.json').unlink(),
    'needs 1 files of .*annotations, of which 1 are missing: instances_val2017.json',
  ),
}


@pytest.mark.parametrize('mistake', COCO_MISTAKES)
def test_a_mistake_in_coco_is_named(manual, monkeypatch, mistake):
  monkeypatch.setattr(preparation, '_is_absent', lambda library: False)
  files.coco(manual)
  make, message = COCO_MISTAKES[mistake]
  make(manual)
  fails('coco_voc', manual, message)


def test_a_segmentation_that_is_none_is_named(manual):
  pytest.importorskip('pycocotools')
  bad = files.instance(3, 1, 'everywhere', 2000)
  files.coco(manual, [bad])
  message = 'instances_train2017.json, image 3, has a segmentation that is neither'
  fails('coco_voc', manual, message)


def test_a_missing_library_is_named(manual, monkeypatch):
  monkeypatch.setattr(preparation, '_is_absent', lambda library: True)
  files.coco(manual)
  assert 'symjax[prepare]' in fails('coco_voc', manual, 'needs pycocotools')


def test_the_real_camvid(manual):
  """Counts, shares of classes and weights as in the tutorial's files, at half size."""
  if not REAL.exists():
    pytest.skip('the images are not here')
  loaded = data.load('camvid', 'train', manual.parent / 'data', str(REAL))
  assert loaded.images.shape == (367, 180, 240, 3)
  shares = 100 * np.bincount(loaded.labels.ravel()) / loaded.labels.size
  published = [
    16.85, 23.26, 0.98, 31.66, 4.49, 9.72, 1.17, 1.13, 5.87, 0.64, 0.29, 3.95
  ]  # fmt: skip
  np.testing.assert_allclose(shares, published, atol=0.15)
  weights = data.class_weights('median_frequency', loaded)
  # Computed from the same labels at 480x360.
  full_size = [
    0.2793, 0.2017, 4.7865, 0.1490, 1.0, 0.4217, 3.8467, 1.9736, 0.7889, 6.3747, 8.8587
  ]  # fmt: skip
  np.testing.assert_allclose(weights, full_size, rtol=0.01)
  lines = data.requirement_lines('camvid', manual.parent / 'data', str(REAL))
  assert any('(train 367, validation 101, test 233)' in line for line in lines)
