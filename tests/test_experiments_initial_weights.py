"""Trainings that start from weights of elsewhere: what is taken, recorded, refused."""

import dataclasses
import importlib
import json

import jax
import numpy as np
import pytest

from symjax import checkpoints
from symjax.checkpoints.load import abstract_variables
from symjax.checkpoints.names import name_leaves, nest_leaves
from symjax.errors import UserError
from symjax.experiments.initial_weights import (
  digest,
  load_initial_weights,
  require_same_start,
)
from symjax.experiments.setup import build
from symjax.experiments.workdir import Workdir
from symjax.models import get_model

SHAPE = (32, 32, 3)


def smoke_config(**model):
  config = importlib.import_module('configs.cifar10_resnet').get_config('smoke')
  values = config.to_dict()
  values['model'] |= {'width': 0.25} | model
  return values


@pytest.fixture
def weights(tmp_path):
  """A file of a narrow ResNet-20's random weights for 10 classes, and these."""
  model = get_model('cifar_resnet', 10, depth=20, width=0.25)
  rng = np.random.default_rng(0)
  leaves = name_leaves(abstract_variables(model, SHAPE))
  variables = nest_leaves(
    {n: rng.random(leaf.shape, np.float32) for n, leaf in leaves.items()}
  )
  path = tmp_path / 'net.safetensors'
  checkpoints.export(model, variables, path, SHAPE)
  return path, variables


@pytest.mark.parametrize('padding', ['zero', 'partial'])
def test_a_run_starts_from_the_weights_under_any_policy(padding, weights, tmp_path):
  path, variables = weights
  setup = build(smoke_config(padding=padding), SHAPE, 10, 64)
  start = load_initial_weights(Workdir(tmp_path / 'run'), setup, str(path))
  assert start.describe() == 'starts from net.safetensors'
  assert start.record == {
    'file': 'net.safetensors',
    'sha256': digest(path),
    'reinitialised': [],
    'fresh': [],
    'unused': [],
  }
  state = setup.start_state(start.variables)
  assert int(state.step) == 0
  jax.tree.map(np.testing.assert_array_equal, state.params, variables['params'])
  jax.tree.map(
    np.testing.assert_array_equal, state.batch_stats, variables['batch_stats']
  )


def test_a_head_of_another_size_is_said_to_be_reinitialised(weights, tmp_path):
  path, variables = weights
  setup = build(smoke_config(), SHAPE, 3, 64)
  own = jax.tree.map(
    lambda leaf: np.zeros(leaf.shape, leaf.dtype),
    jax.eval_shape(setup.create_state),
  )
  setup = dataclasses.replace(setup, create_state=lambda: own)
  start = load_initial_weights(Workdir(tmp_path / 'run'), setup, str(path))
  assert start.describe() == (
    'starts from net.safetensors; re-initialised for another number of outputs: linear'
  )
  params = start.variables['params']
  np.testing.assert_array_equal(params['linear']['kernel'], np.zeros((16, 3)))
  np.testing.assert_array_equal(
    params['conv1']['kernel'], variables['params']['conv1']['kernel']
  )


def test_a_segmenter_starts_from_a_classifier_and_says_what_is_taken(tmp_path):
  classifier = get_model('resnet', 10, depth=18, width=1 / 16)
  leaves = name_leaves(abstract_variables(classifier, SHAPE))
  path = tmp_path / 'resnet18.npz'
  np.savez(path, **{n: np.ones(leaf.shape, np.float32) for n, leaf in leaves.items()})
  config = smoke_config(name='fcn', depth=18, width=1 / 16, padding='partial')
  setup = build(config, SHAPE, 3, 64)
  own = jax.tree.map(
    lambda leaf: np.zeros(leaf.shape, leaf.dtype), jax.eval_shape(setup.create_state)
  )
  setup = dataclasses.replace(setup, create_state=lambda: own)
  start = load_initial_weights(Workdir(tmp_path / 'run'), setup, str(path))
  assert start.describe() == (
    'starts from resnet18.npz; not taken from it: fc; not in it, so fresh: '
    'aux_classifier_0, aux_classifier_1, aux_classifier_4, classifier_0, '
    'classifier_1, classifier_4'
  )
  assert start.record['unused'] == ['fc'] and len(start.record['fresh']) == 6
  for arrays in start.variables.values():
    for name, layer in arrays.items():
      expected = float(name == 'backbone')
      assert all((leaf == expected).all() for leaf in jax.tree.leaves(layer))


def test_filters_that_an_optimiser_keeps_on_the_sphere_start_there(tmp_path):
  config = importlib.import_module('configs.digits_vgg').get_config('smoke').to_dict()
  config['model'] |= {'depth': 11, 'stages': 1, 'width': 1 / 16}
  config['optimizer'] |= {'name': 'unit_norm', 'weight_decay': 0.0}
  setup = build(config, SHAPE, 10, 64)
  rng = np.random.default_rng(0)
  variables = jax.tree.map(
    lambda leaf: rng.random(leaf.shape, np.float32),
    abstract_variables(setup.model, SHAPE),
  )
  path = tmp_path / 'net.safetensors'
  checkpoints.export(setup.model, variables, path, SHAPE)
  start = load_initial_weights(Workdir(tmp_path / 'run'), setup, str(path))
  kernel = setup.start_state(start.variables).params['features_0']['kernel']
  before = variables['params']['features_0']['kernel']
  norms = np.linalg.norm(before.reshape(-1, 4), axis=0)
  np.testing.assert_allclose(kernel, before / norms[None, None, None], rtol=1e-6)


def begun(folder, record):
  """A run's folder as it is before the first checkpoint."""
  folder = Workdir(folder)
  folder.path.mkdir()
  folder.config.write_text('{}')
  if record:
    folder.start.write_text(json.dumps(record))
  return folder


def test_a_workdir_keeps_to_the_weights_that_it_started_from(weights, tmp_path):
  path, _ = weights
  require_same_start(Workdir(tmp_path / 'free'), str(path))
  record = {'file': path.name, 'sha256': digest(path)}
  folder = begun(tmp_path / 'run', record)
  require_same_start(folder, str(path))
  # Its name suffices where the file has gone.
  require_same_start(folder, str(tmp_path / 'gone' / path.name))
  renamed = path.rename(tmp_path / 'renamed.safetensors')
  require_same_start(folder, str(renamed))

  other = tmp_path / 'net.safetensors'
  other.write_bytes(b'another')
  for wrong in (other, tmp_path / 'gone.pth'):
    with pytest.raises(UserError, match='started from net.safetensors .*, not from'):
      require_same_start(folder, str(wrong))
  with pytest.raises(UserError, match='no checkpoint yet; give --init_weights'):
    require_same_start(folder, None)
  plain = begun(tmp_path / 'plain', None)
  require_same_start(plain, None)
  with pytest.raises(UserError, match='did not start from --init_weights; choose'):
    require_same_start(plain, str(renamed))


def test_weights_of_another_network_are_refused(weights, tmp_path):
  path, _ = weights
  setup = build(smoke_config(depth=32), SHAPE, 10, 64)
  with pytest.raises(UserError, match='does not fit the network: the file lacks 60 of'):
    load_initial_weights(Workdir(tmp_path / 'run'), setup, str(path))
