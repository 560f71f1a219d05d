"""The splits of a config whose labels are maps."""

import numpy as np
import pytest
import segmentation_files as files

from symjax.errors import UserError
from symjax.experiments.data import image_size, load_scenes, load_splits


def group(**changes):
  values = {
    'name': 'camvid',
    'test_split': 'test',
    'image_size': None,
    'center_crop': 1.0,
    'stream': False,
    'crop_area': None,
    'train_examples': None,
    'test_examples': 2,
    'fake': False,
  }
  return values | changes


@pytest.mark.parametrize(
  'given, size', [(None, None), (33, (33, 33)), ((90, 120), (90, 120)), ([7], (7, 7))]
)
def test_a_size_is_a_side_or_a_height_and_a_width(given, size):
  assert image_size(group(image_size=given)) == size


@pytest.mark.parametrize('given', [0, (90, -1), (1, 2, 3), (), ('ninety',)])
def test_what_is_no_size_is_refused(given):
  with pytest.raises(UserError, match='data.image_size=.*give a side, or height and'):
    image_size(group(image_size=given))


@pytest.mark.parametrize('size', [None, (12, 20)])
def test_made_up_label_maps_stand_in_for_a_set_that_is_absent(tmp_path, size):
  fake = group(fake=True, image_size=size, train_examples=3)
  splits = load_splits(fake, str(tmp_path), None)
  height, width = size or (32, 32)
  assert splits.train.images.shape == (3, height, width, 3)
  assert splits.test.labels.shape == (2, height, width)
  for dataset in splits:
    assert (dataset.kind, dataset.num_classes, dataset.ignore_label) == (
      'segmentation',
      11,
      11,
    )
    assert set(np.unique(dataset.labels)) <= set(range(12))
  assert not list(tmp_path.iterdir())


def test_crops_of_images_that_are_not_streamed_are_refused(tmp_path):
  with pytest.raises(UserError, match='crop_area is of images that are streamed'):
    load_splits(group(crop_area=(0.1, 1.0)), str(tmp_path), None)


def test_label_maps_are_not_streamed(tmp_path):
  places = str(tmp_path / 'data'), str(files.camvid(tmp_path / 'manual'))
  with pytest.raises(UserError, match='camvid has label maps, and only images with a'):
    load_splits(group(stream=True), *places)


def test_labels_are_cut_to_the_numbers_of_images_and_put_on_a_canvas(
  tmp_path, monkeypatch
):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'user'))
  folders = str(tmp_path / 'data'), str(files.camvid(tmp_path / 'manual'))
  wanted = group(image_size=[12, 16], shorter_side=6)
  splits = load_splits(wanted, *folders)
  assert len(splits.train.labels) == len(splits.train.images) == 4
  assert splits.test.labels.shape == (2, 12, 16)
  assert (splits.test.labels[:, 6:] == 11).all()
  assert load_scenes(wanted, 20, *folders) is None
