"""What an audit leaves behind, and how a trained network is swept over sizes."""

import dataclasses
import importlib
import json

import jax
import numpy as np
import pytest

from symjax.data import fake_dataset
from symjax.errors import UserError
from symjax.experiments.audit import (
  audit_config,
  audit_table,
  audit_verdict,
  summarise,
)
from symjax.experiments.setup import build
from symjax.experiments.size_sweep import size_table, sweep_sizes
from symjax.experiments.subject import Subject

CONFIG = (
  importlib.import_module('configs.mnist_connected').get_config('smoke').to_dict()
)


def with_model(**fields):
  model = CONFIG['model'] | {'features': (1, 2), 'head': 'average'} | fields
  return CONFIG | {'model': model}


def test_an_audit_leaves_its_record_and_its_map(tmp_path):
  config = with_model(downsampling='balanced')
  record = audit_config(config, (16, 16), tmp_path)
  assert json.loads((tmp_path / 'audit.json').read_text()) == record
  assert (tmp_path / 'figures' / 'foveation.png').read_bytes().startswith(b'\x89PNG')
  assert record['even'] is False
  assert record['even_sizes'] == {'height': [13, 17], 'width': [13, 17]}
  row = record['layers'][0]
  assert row['border_read'] == {'top': 1, 'bottom': 0, 'left': 1, 'right': 0}
  assert row['slack'] == [1, 1] and row['dropped'] == [0, 0]
  assert 0.05 < record['foveation']['mirror_distance']['up_down'] < 1
  assert audit_table(record).splitlines()[1].split('  ')[0] == 'connected_0 *'
  verdict = 'connected at 16: uneven in 2 of 2 layers; in none at 13 or 17; training'
  assert audit_verdict(record).startswith(verdict)
  even = audit_config(with_model(), (17, 17), tmp_path)
  assert audit_verdict(even) == 'connected at 17: even in all 2 strided layers'
  assert even['foveation']['mirror_distance']['left_right'] < 1e-6


def test_half_precision_networks_are_counted_in_single(tmp_path):
  record = audit_config(with_model(dtype='bfloat16'), (17, 17), tmp_path)
  assert record['foveation']['mirror_distance']['up_down'] < 1e-6


def test_images_too_small_are_refused_and_nothing_is_written(tmp_path):
  config = with_model(padding='valid')
  with pytest.raises(
    UserError, match='--size=5 is too small .* .--size=7 is the small'
  ):
    audit_config(config, (5, 5), tmp_path / 'out')
  assert not (tmp_path / 'out').exists()


def test_mirror_distances_are_shares_of_all_reading():
  half = np.concatenate([np.full((2, 4), 2.0), np.zeros((2, 4))])
  found = summarise(half)
  assert found['mirror_distance'] == {'up_down': 1.0, 'left_right': 0.0}
  assert found['rows'] == [2, 2, 0, 0] and found['columns'] == [1, 1, 1, 1]


@pytest.fixture(scope='module')
def subject():
  """A network before training, on made-up digits of 16 pixels."""
  config = with_model(algorithm='xla')
  config = config | {'train': config['train'] | {'batch_size': 8}}
  config = config | {'data': config['data'] | {'name': 'fake', 'image_size': None}}
  setup = build(config, (16, 16, 1), num_classes=3, num_examples=16)
  test = fake_dataset(
    'fake', 'test', num_classes=3, image_shape=(16, 16, 1), num_examples=16
  )
  variables = jax.jit(setup.create_state)().variables
  return Subject(config, setup, variables, test, 0, 'a network', (None, None))


def test_sizes_without_a_network_are_refused_before_any_is_measured(subject, tmp_path):
  model = subject.setup.model.clone(head='flatten')
  images = jax.ShapeDtypeStruct((1, 16, 16, 1), np.float32)
  flat = dataclasses.replace(
    subject,
    setup=dataclasses.replace(subject.setup, model=model),
    variables=jax.eval_shape(model.init, jax.random.key(0), images),
  )
  with pytest.raises(UserError, match='--sizes=20: the weights .* images of one size'):
    sweep_sizes(flat, [20], tmp_path / 'out')
  assert not (tmp_path / 'out').exists()


def test_the_sweep_measures_every_size_once(subject, tmp_path):
  record = sweep_sizes(subject, [17, 17], tmp_path)
  assert json.loads((tmp_path / 'size_sweep.json').read_text()) == record
  [row] = record['rows']
  assert (row['size'], row['even'], record['trained_at']) == (17, True, [16, 16])
  normalization = dataclasses.replace(subject.setup.normalization, image_size=(17, 17))
  images = normalization(jax.numpy.asarray(subject.test.images))
  logits = subject.setup.model.apply(subject.variables, images)
  right = np.asarray(logits).argmax(axis=1) == subject.test.labels
  assert row['test_accuracy']['mean'] == pytest.approx(right.mean())
  assert size_table(record).splitlines()[1].split()[0] == '17'
  assert (tmp_path / 'figures' / 'size_sweep.png').exists()
