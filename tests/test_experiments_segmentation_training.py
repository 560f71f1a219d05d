"""A segmentation trained end to end: its records, its data, and what it is refused."""

import dataclasses
import importlib
import json

import jax
import numpy as np
import pytest

from symjax import data
from symjax.checkpoints import CheckpointStore
from symjax.errors import UserError
from symjax.experiments import train as training
from symjax.experiments.absent_classes import absent_classes, describe_absent
from symjax.experiments.data import Splits, load_splits
from symjax.experiments.recalibration import recalibrate, require_batch_norm
from symjax.experiments.results import read_groups, results_table
from symjax.experiments.setup import build_for, make_augmentation
from symjax.records import Log
from symjax.training.joint_augmentation import JointAugmentation


def smoke(name='camvid_segnet'):
  return importlib.import_module(f'configs.{name}').get_config('smoke').to_dict()


def without_road(group, *folders):
  """Made-up splits, of which that for tests shows no road."""
  splits = load_splits(group, *folders)
  test = splits.test
  labels = np.where(test.labels == 3, test.ignore_label, test.labels)
  return splits._replace(test=dataclasses.replace(test, labels=labels.astype(np.uint8)))


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """A run of one epoch: its folder, config, summary and recalibrated statistics."""
  workdir = tmp_path_factory.mktemp('runs') / 'segnet'
  config = smoke()
  config['train']['epochs'] = 1.0
  config['data']['test_examples'] = 20  # No multiple of the batch.
  recalibrated = []

  def remembered(*arguments):
    recalibrated.append(recalibrate(*arguments))
    return recalibrated[0]

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(training, 'recalibrate', remembered)
    patch.setattr(training, 'load_splits', without_road)
    patch.setattr(training, 'present', lambda *arguments: None)  # Drawn in other tests.
    patch.setattr(training, 'draw_filters', lambda *arguments: None)
    summary = training.train(config, workdir, str(workdir / 'none'), command='python')
  [state] = recalibrated
  return workdir, config, summary, jax.device_get(state.batch_stats)


def test_a_summary_has_the_metrics_of_the_split_the_headline_first(finished):
  workdir, _, summary, _ = finished
  assert json.loads((workdir / 'summary.json').read_text()) == summary
  assert next(iter(summary)) == 'test_miou'
  ratios = {**summary['test_iou']}
  assert ratios.pop('road') is None and summary['absent_classes'] == ['road']
  assert len(ratios) == 10
  assert summary['test_miou'] == pytest.approx(np.mean(list(ratios.values())))
  assert 0 < summary['test_class_accuracy'] < 1 and 0 < summary['test_accuracy'] < 1
  assert summary['recalibrated_batch_norm'] is True
  assert 'miou 0.' in results_table(read_groups([workdir]))


def test_training_rows_are_of_labelled_pixels(finished):
  workdir, _, summary, _ = finished
  rows = Log(workdir / 'metrics.jsonl').read()
  assert rows[-1]['test_miou'] == summary['test_miou']
  [trained] = [row for row in rows if row['step'] == 4 and 'train_loss' in row]
  assert 0 < trained['train_accuracy'] < 1


def test_what_is_saved_is_recalibrated(finished):
  workdir, _, _, recalibrated = finished
  store = CheckpointStore(workdir / 'checkpoints', read_only=True)
  saved = store.restore_arrays(4)
  store.close()
  jax.tree.map(np.testing.assert_array_equal, saved['batch_stats'], recalibrated)


DIGITS = data.fake_dataset(
  'mnist', 'test', num_classes=3, image_shape=(4, 4, 1), num_examples=2
)


def test_classes_without_a_pixel_are_named():
  labels = np.array([[[0, 2], [9, 9]], [[2, 2], [0, 9]]], np.uint8)
  images = np.zeros((2, 2, 2, 3), np.uint8)
  names = ('sky', 'road', 'tree', 'car')
  scenes = data.Dataset('a', 'test', images, labels, 4, '', 'segmentation', 9, names)
  assert absent_classes(scenes) == ('road', 'car')
  [first, _] = describe_absent(Splits(train=DIGITS, test=scenes))
  assert first == (
    'a test has no pixel of class road: it is left out of the means over classes'
  )
  assert absent_classes(dataclasses.replace(scenes, class_names=())) == ('1', '3')
  assert absent_classes(DIGITS) == ()


def training_set(config, tmp_path):
  return load_splits(config['data'], str(tmp_path / 'none'), None).train


def test_pixels_and_their_labels_are_augmented_together(tmp_path):
  """As a record on disk has a config, whose pairs are lists."""
  config = json.loads(json.dumps(smoke('coco_fcn')))
  setup = build_for(config, training_set(config, tmp_path))
  assert setup.task.ignore_label == 255 and setup.task.num_classes == 21
  assert setup.image_shape == (18, 24, 3)
  augmentation = make_augmentation(config['augmentation'], setup.task)
  assert augmentation == JointAugmentation(True, (0.5, 2.0), ignore_label=255)


@pytest.mark.parametrize(
  'name, group, values, message',
  [
    ('camvid_segnet', 'task', {'class_weights': 'median'}, 'unknown class weights'),
    ('coco_fcn', 'task', {'class_weights': 'segnet_camvid'}, 'not of coco_voc'),
    ('camvid_segnet', 'augmentation', {'scale': (0.0, 1.0)}, 'augmentation.scale='),
    ('camvid_segnet', 'augmentation', {'scale': (2.0,)}, r'augmentation.scale=\(2.0,'),
    ('camvid_segnet', 'augmentation', {'crop': ('big', 4)}, 'augmentation.crop='),
    ('camvid_segnet', 'optimizer', {'rate_factors': (('.*', -1),)}, 'a factor is pos'),
  ],
)
def test_values_that_make_no_segmentation_are_named(
  name, group, values, message, tmp_path
):
  config = smoke(name)
  config[group] |= values
  with pytest.raises(UserError, match=message):
    build_for(config, training_set(config, tmp_path))


@pytest.mark.parametrize(
  'config, other, message',
  [
    ('digits_vgg', 'camvid_segnet', 'camvid has a class for every pixel'),
    ('camvid_segnet', 'digits_vgg', 'rendered_digits has one label an image'),
  ],
)
def test_data_of_the_other_kind_of_labels_are_named(config, other, message, tmp_path):
  """As `--config.data.name=` may ask for them."""
  theirs = training_set(smoke(other), tmp_path)
  with pytest.raises(UserError, match=message) as failure:
    build_for(smoke(config), theirs)
  assert '\n' not in str(failure.value)


def test_a_network_without_batch_norm_is_not_recalibrated(tmp_path):
  config = smoke('digits_vgg')
  config['model']['batch_norm'] = False
  setup = build_for(config, training_set(config, tmp_path))
  require_batch_norm(config, setup)
  config['train']['recalibrate_batch_norm'] = True
  with pytest.raises(UserError, match='for networks with BatchNorm, and vgg has none'):
    require_batch_norm(config, setup)
