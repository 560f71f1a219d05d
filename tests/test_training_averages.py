"""Averages of weights: the formula, and that they are what a run gives."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from symjax.checkpoints import CheckpointStore
from symjax.checkpoints.workdir import read_workdir
from symjax.errors import UserError
from symjax.training.averages import require_decay, update_averages
from symjax.training.images import Augmentation, Normalization
from symjax.training.state import create_state
from symjax.training.step import make_eval_step, make_train_step
from symjax.training.tasks import Classification

NORMALIZATION = Normalization((0.5,) * 3, (0.25,) * 3)
DECAY = 0.3


class Network(nn.Module):
  """One layer, normalised."""

  @nn.compact
  def __call__(self, images, *, train):
    x = nn.Dense(3, use_bias=False, name='head')(images.reshape(len(images), -1))
    return nn.BatchNorm(use_running_average=not train, name='bn')(x)


@pytest.fixture(scope='module')
def states():
  """A state before the first step, and after each of four; as numpy arrays."""
  rng = np.random.default_rng(0)
  batch = {
    'image': rng.integers(0, 256, (8, 2, 2, 3), np.uint8),
    'label': rng.integers(0, 3, 8, np.int32),
  }
  model, optimizer = Network(), optax.sgd(1.0)
  state = create_state(model, optimizer, (2, 2, 3), seed=0, averaged=True)
  step = jax.jit(
    make_train_step(
      model,
      optimizer,
      Classification(),
      NORMALIZATION,
      Augmentation(),
      ema_decay=DECAY,
    )
  )
  found = [state]
  for _ in range(4):
    found.append(step(found[-1], batch)[0])
  return batch, jax.device_get(found)


def test_averages_follow_the_formula(states):
  """Two steps at (1 + t) / (10 + t), 2/11 and 3/12, then at the decay, 0.3."""
  _, (first, *others) = states
  expected = jax.tree.map(np.float64, first.trained)
  for step, state in enumerate(others, 1):
    decay = min(DECAY, (1 + step) / (10 + step))
    expected = jax.tree.map(
      lambda old, new, decay=decay: decay * old + (1 - decay) * new,
      expected,
      jax.tree.map(np.float64, state.trained),
    )
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-6),
      state.averages,
      expected,
    )
  apart = jax.tree.map(
    lambda a, b: abs(a - b).max(), others[-1].averages, others[-1].trained
  )
  assert min(jax.tree.leaves(apart)) > 1e-4


def test_equal_values_are_their_own_average():
  tree = {'w': jnp.full(3, 0.1)}
  for step in (1, 10, 10**6):
    averages = update_averages(tree, tree, 0.999, jnp.asarray(step))
    np.testing.assert_array_equal(averages['w'], tree['w'])


def test_the_averages_are_what_is_evaluated(states):
  batch, (*_, state) = states
  batch = batch | {'mask': np.ones(8, bool)}
  step = make_eval_step(Network(), Classification(), NORMALIZATION)
  swapped = state.replace(
    params=state.averages['params'], batch_stats=state.averages['batch_stats']
  )
  found, expected = step(state, batch), step(swapped.replace(averages={}), batch)
  assert float(found['loss']) == float(expected['loss'])
  assert float(found['loss']) != float(step(state.replace(averages={}), batch)['loss'])


def test_the_averages_are_what_is_read_of_a_run(states, tmp_path):
  _, (*_, state) = states
  for folder, saved in (
    ('averaged', state),
    ('plain', dataclasses.replace(state, averages={})),
  ):
    store = CheckpointStore(tmp_path / folder / 'checkpoints')
    store.save(4, jax.tree.map(jnp.asarray, saved), {}, None)
    store.close()
    read = read_workdir(tmp_path / folder)
    assert set(read) == {
      'params/head/kernel', 'params/bn/scale', 'params/bn/bias',
      'batch_stats/bn/mean', 'batch_stats/bn/var',
    }  # fmt: skip
    expected = saved.variables['params']['head']['kernel']
    np.testing.assert_array_equal(read['params/head/kernel'], expected)


def test_other_statistics_are_those_of_the_averages(states):
  _, (*_, state) = states
  other = jax.tree.map(np.zeros_like, state.batch_stats)
  replaced = state.with_batch_stats(other)
  assert replaced.variables['batch_stats'] is other
  assert replaced.batch_stats is state.batch_stats
  plain = state.replace(averages={}).with_batch_stats(other)
  assert plain.variables['batch_stats'] is other


@pytest.mark.parametrize('decay', [-0.1, 1.0, 1.5, float('nan')])
def test_a_decay_is_below_one(decay):
  with pytest.raises(UserError, match=rf'train.ema_decay={decay} is not in \[0, 1\)'):
    require_decay(decay)
