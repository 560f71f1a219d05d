"""Evaluations of networks whose consistencies are known beforehand."""

import dataclasses
import importlib
import json

import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow_datasets as tfds
from flax import linen as nn
from test_data_decoding import VariedImages

from symjax import data
from symjax.data import Dataset
from symjax.errors import UserError
from symjax.experiments.data import load_scenes
from symjax.experiments.evaluation import evaluation_table, report_evaluation
from symjax.experiments.evaluation import measured as measured_module
from symjax.experiments.evaluation.measured import measure
from symjax.experiments.evaluation.measures import MEASURES, measures_of
from symjax.experiments.setup import build
from symjax.experiments.subject import Subject
from symjax.symmetry.shift_protocol import diagonal_offsets, draw_offsets

CONFIG = importlib.import_module('configs.mnist_connected').get_config('smoke')
COUNT = 27  # Not a multiple of the batch of 16, nor of the 8 images of an offset.


class Brightness(nn.Module):
  """Two classes by the mean over the columns that count."""

  columns: int | None = None  # The first so many; None: all.

  @nn.compact
  def __call__(self, images, *, train=False):
    mean = images[:, :, : self.columns].mean((1, 2, 3))
    contrast = self.param('contrast', nn.initializers.constant(8.0), ())
    return jnp.stack([mean, -mean], axis=1) * contrast


@pytest.fixture(scope='module')
def base(tmp_path_factory):
  """A subject of another network."""
  config = CONFIG.to_dict()
  config['data'] |= {'mean': (0.5,), 'std': (0.25,)}
  setup = build(config, (28, 28, 1), num_classes=10, num_examples=64)
  folders = (str(tmp_path_factory.mktemp('none')), None)
  variables = {'params': {'contrast': jnp.asarray(8.0)}}
  return Subject(config, setup, variables, None, 0, 'known', folders)


def known(base, columns=None):
  """The network of the first columns, on random images of which it knows 20 of 27."""
  images = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8, 1), np.uint8)
  model = Brightness(columns)
  setup = dataclasses.replace(base.setup, model=model)
  logits = model.apply(base.variables, setup.normalization(jnp.asarray(images)))
  labels = np.argmax(np.asarray(logits), -1).astype(np.int32)
  labels[:7] = 1 - labels[:7]
  test = Dataset('known', 'test', images, labels, 2, 'a part of nothing')
  return dataclasses.replace(base, setup=setup, test=test)


@pytest.fixture(scope='module')
def made(base, tmp_path_factory):
  """The record of a network that sees the mean alone, and where it was written."""
  out = tmp_path_factory.mktemp('evaluation')
  return report_evaluation(known(base), out), out


def test_what_keeps_the_mean_keeps_the_predictions(made):
  record, _ = made
  for name, found in record['consistency'].items():
    drawn = name.endswith('shift')
    assert len(found['repeats']) == (5 if drawn else 1)
    assert np.mean(found['repeats']) == pytest.approx(found['mean'])
    assert found['interval'][0] < found['mean']
    if name != 'crop_shift':  # Its windows do not show the same pixels.
      assert found['mean'] == 1
  assert record['consistency']['crop_shift']['mean'] < 1
  # One draw serves 8 images, so it says less: 4 clusters against 27.
  flip, shift = (
    record['consistency'][name] for name in ('horizontal_flip', 'circular_shift')
  )
  assert shift['interval'][0] < flip['interval'][0]


def test_the_score_has_wilsons_interval(made):
  """20 of 27, by the formula."""
  record, _ = made
  p, n, z = 20 / 27, 27, 1.959963984540054
  center = (p + z**2 / (2 * n)) / (1 + z**2 / n)
  reach = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
  assert record['test_accuracy']['mean'] == pytest.approx(p)
  assert record['test_accuracy']['interval'] == pytest.approx(
    [center - reach, center + reach]
  )


def test_the_record_says_what_it_is_of(made):
  record, out = made
  written = json.loads((out / 'evaluation.json').read_text())
  assert written == json.loads(json.dumps(record))
  assert record['dataset'] == 'known' and record['test_examples'] == COUNT
  assert record['crop_shift'] == {
    'size': [8, 8], 'scene': [10, 10], 'scenes': 'extended',
    'images_per_offset': 8, 'seed': 0,
  }  # fmt: skip
  for name in ('consistency', 'diagonal_shift'):
    assert (out / 'figures' / f'{name}.png').read_bytes().startswith(b'\x89PNG')
  head, accuracy, first = evaluation_table(record).splitlines()[:3]
  assert accuracy.split()[:3] == ['test', 'accuracy', '0.741']
  assert first.startswith('consistency: horizontal flip')


def test_half_a_view_is_no_mirror(base):
  """A network of the left half, against numpy on every image and both shifts."""
  there = known(base, 4)
  found = measure(there)
  images = there.test.images[..., 0].astype(float)
  mean = images[:, :, :4].mean((1, 2)) < 127.5

  def agree(moved):
    return (moved[:, :, :4].mean((1, 2)) < 127.5) == mean

  np.testing.assert_array_equal(
    found.agreements['horizontal_flip'][0], agree(images[:, :, ::-1])
  )
  np.testing.assert_array_equal(found.agreements['vertical_flip'], 1)
  turned = np.rot90(images, -1, axes=(1, 2))
  np.testing.assert_array_equal(found.agreements['quarter_turn'][0], agree(turned))

  scene = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode='edge')

  def windows(offsets):
    return np.stack(
      [
        s[down : down + 8, right : right + 8]
        for s, (down, right) in zip(scene, offsets, strict=True)
      ]
    )

  for repeat in range(5):
    first, second = (
      np.array(o) for o in draw_offsets(0, repeat, jnp.arange(COUNT), (8, 8))
    )
    sides = [windows(o)[:, :, :4].mean((1, 2)) < 127.5 for o in (first, second)]
    np.testing.assert_array_equal(
      found.agreements['crop_shift'][repeat], sides[0] == sides[1]
    )

  offsets = diagonal_offsets((8, 8))
  assert found.diagonal.shape == (len(offsets), COUNT) == (3, COUNT)
  for offset, row in zip(offsets, found.diagonal, strict=True):
    seen = windows([offset] * COUNT)[:, :, :4].mean((1, 2))
    first = 1 / (1 + np.exp(-16 * (seen / 255 - 0.5) / 0.25))
    true = np.where(there.test.labels == 0, first, 1 - first)
    np.testing.assert_allclose(row, true, atol=1e-5)


def test_images_that_vary_in_size_are_cropped_as_zhang_does(base, monkeypatch):
  """Then the scene is the image at a larger size, not an image with a border."""
  there = known(base)
  scenes = np.random.default_rng(1).integers(0, 256, (COUNT, 10, 10, 1), np.uint8)
  larger = dataclasses.replace(there.test, images=scenes)
  monkeypatch.setattr(measured_module, 'load_scenes', lambda *arguments: larger)
  found = measure(there)
  assert found.scenes == 'resized'
  first, second = (np.array(o) for o in draw_offsets(0, 0, jnp.arange(COUNT), (8, 8)))
  sides = [
    [
      s[down : down + 8, right : right + 8].mean() < 127.5
      for s, (down, right) in zip(scenes, offsets, strict=True)
    ]
    for offsets in (first, second)
  ]
  np.testing.assert_array_equal(found.agreements['crop_shift'][0], np.equal(*sides))


def test_a_network_without_finite_outputs_is_named(base, tmp_path):
  broken = {'params': {'contrast': jnp.asarray(np.nan)}}
  there = dataclasses.replace(known(base), variables=broken)
  with pytest.raises(UserError, match='known gives NaN or infinity on known'):
    report_evaluation(there, tmp_path / 'out')
  with pytest.raises(UserError, match='shifts are chosen for segmentations, and known'):
    report_evaluation(there, tmp_path / 'out', [(0, 1)])
  assert not (tmp_path / 'out').exists()


def test_scenes_are_larger_only_where_images_vary_in_size(tmp_path):
  VariedImages(data_dir=tmp_path).download_and_prepare(
    file_format='array_record',
    download_config=tfds.download.DownloadConfig(try_download_gcs=False),
  )
  group = {'name': 'varied_images', 'test_split': 'train', 'test_examples': 5}
  scenes = load_scenes(group, 16, str(tmp_path), None)
  assert scenes.images.shape == (5, 16, 16, 3)
  images = data.load('varied_images', 'train', str(tmp_path), image_size=(14, 14))
  np.testing.assert_array_equal(scenes.labels, images.labels[:5])
  np.testing.assert_array_equal(scenes.images[:, 0, 0], images.images[:5, 0, 0])
  fixed = {'name': 'rendered_digits', 'test_split': 'test', 'test_examples': 5}
  assert load_scenes(fixed, 16, str(tmp_path), None) is None


def test_a_rectangle_has_no_quarter_turns():
  assert list(measures_of((8, 8))) == list(MEASURES)
  missing = MEASURES.keys() - measures_of((8, 6)).keys()
  assert missing == {'quarter_turn', 'three_quarter_turn'}
