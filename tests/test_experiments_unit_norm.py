"""`--config.optimizer.name=unit_norm`, for every network that has filters for it."""

import importlib

import jax
import numpy as np
import pytest

from symjax.errors import UserError
from symjax.experiments.evaluators import SphereDeparture
from symjax.experiments.setup import build


def experiment(name):
  config = importlib.import_module(f'configs.{name}').get_config('smoke').to_dict()
  config['optimizer']['name'] = 'unit_norm'
  channels = len(config['data']['mean'])
  return build(config, (32, 32, channels), num_classes=10, num_examples=64), channels


def test_convolutions_start_on_the_sphere():
  setup, _ = experiment('digits_vgg')
  state = jax.jit(setup.create_state)()
  assert SphereDeparture(setup.sphere_kernels)(state)['sphere_departure'] < 1e-6


def test_filters_start_and_stay_on_the_sphere_while_they_move(standard_promotion):
  setup, channels = experiment('mnist_archbn')
  rng = np.random.default_rng(0)
  batch = {
    'image': rng.integers(0, 256, (16, 32, 32, channels), np.uint8),
    'label': rng.integers(0, 10, 16),
  }
  first = state = setup.create_state()
  step = jax.jit(setup.train_step)
  departure = SphereDeparture(setup.sphere_kernels)
  assert departure(state)['sphere_departure'] < 1e-6
  for _ in range(3):
    state, _ = step(state, batch)
  assert departure(state)['sphere_departure'] < 1e-6
  moved = jax.tree.map(lambda a, b: float(abs(a - b).max()), first.params, state.params)
  assert min(jax.tree.leaves(moved)) > 0


def test_a_filter_that_leaves_the_sphere_is_named():
  setup, _ = experiment('mnist_archbn')
  state = setup.create_state()
  kernel = state.params['filters_1']['kernel']
  state.params['filters_1']['kernel'] = kernel.at[:, 5].multiply(1.01)
  with pytest.raises(
    UserError,
    match='^filters_1/kernel: filter 5 has norm 1.01, not 1: it left the sphere',
  ):
    SphereDeparture(setup.sphere_kernels)(state)


def test_a_network_without_normalisation_is_refused():
  with pytest.raises(UserError, match='this network has none: choose model.batch_norm'):
    experiment('svhn_vgg')
