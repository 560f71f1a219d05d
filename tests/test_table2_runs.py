"""What the runs of a cell compute, on made-up images."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjax.data import fake_dataset
from symjax.errors import UserError
from symjax.experiments.table2 import METHODS, Protocol
from symjax.experiments.table2.cell import draw_splits
from symjax.experiments.table2.runs import Cell, Images
from symjax.experiments.table2.spread import make_mesh, over_runs
from symjax.models import ArchBN

PROTOCOL = Protocol(
  runs=4,
  batch_size=20,
  selection_train=40,
  selection_validation=20,
  selection_epochs=3,
  train=200,
  validation=60,
)
RUNS = np.arange(4, dtype=np.int32)


def images(split, count):
  dataset = fake_dataset(
    'mnist', split, num_classes=4, image_shape=(8, 8, 1), num_examples=count
  )
  return Images(jnp.asarray(dataset.images), jnp.asarray(dataset.labels, jnp.int32))


POOL, TEST = images('train', 300), images('test', 80)
SPLITS = draw_splits(PROTOCOL, 300)


def make_cell(method='un', depth=2, **changes):
  model = ArchBN(4, depth, features=8)
  return Cell(dataclasses.replace(PROTOCOL, **changes), model, METHODS[method])


def begin(cell, rate=0.01):
  rates = np.full(4, rate, np.float32)
  return over_runs(cell.begin, make_mesh(4), shared=1)(RUNS, rates, POOL)


def train(cell, epochs=2, rate=0.01, going=(True,) * 4, devices=4, test=TEST):
  """The states of 4 runs after some epochs, and what was measured in the last."""
  mesh = make_mesh(devices)
  epoch = over_runs(cell.epoch, mesh, shared=3)
  rates = np.full(4, rate, np.float32)
  state = over_runs(cell.begin, mesh, shared=1)(RUNS, rates, POOL)
  own = (SPLITS.train, SPLITS.validation)
  for number in range(epochs):
    arguments = (RUNS, np.array(going), state, *own, np.int32(number), POOL, test)
    state, measured = epoch(*arguments)
  return state, jax.device_get(measured)


def assert_close(one, other, **tolerance):
  for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
    np.testing.assert_allclose(a, b, **tolerance)


def filters_of(state, run=0):
  """The kernels of the layers that normalisation follows, of one run."""
  return {
    name: np.asarray(layer['kernel'][run])
    for name, layer in state.params.items()
    if name.startswith('filters')
  }


def test_runs_learn_each_in_its_own_way():
  _, measured = train(make_cell(), epochs=4)
  assert np.median(measured.test_error) < 0.25
  assert measured.cost.max() < np.log(4) / 2
  assert len(set(measured.cost.tolist())) == 4


def test_a_sum_is_a_mean_at_a_rate_as_many_times_higher():
  """The only difference between the two reductions, which decides Table 2."""
  by_sum = train(make_cell(), rate=0.01)
  by_mean = train(make_cell(loss_reduction='mean'), rate=0.2)
  assert_close(by_sum[0].params, by_mean[0].params, rtol=1e-3, atol=1e-4)
  assert_close(by_sum[1].cost, by_mean[1].cost, rtol=1e-4)


def test_without_the_projection_renormalising_does_the_same_work():
  """Under BatchNorm the gradient has hardly a radial part (eps -> 0) to project."""
  first = filters_of(begin(make_cell()))
  ends = {
    method: filters_of(train(make_cell(method), epochs=3)[0])
    for method in ('un', 'renormalize', 'b-sgd')
  }

  def apart(one, other):
    return max(np.abs(one[name] - other[name]).max() for name in one)

  moved = apart(ends['un'], first)
  assert apart(ends['un'], ends['renormalize']) < 0.02 * moved
  assert apart(ends['un'], ends['b-sgd']) > 0.1 * moved


def test_statistics_are_exact_over_the_training_split():
  """Tested on its own training split, a run has its training error."""
  own = SPLITS.train[2]
  test = Images(POOL.images[own], POOL.labels[own])
  _, measured = train(make_cell(), epochs=1, rate=1e-3, test=test)
  assert measured.train_error[2] == measured.test_error[2] > 0


def test_a_run_that_has_ended_stays_as_it_is():
  state, measured = train(make_cell(), epochs=1, going=(True, False, True, True))
  before, after = begin(make_cell()), state
  assert_close(
    *(jax.tree.map(lambda leaf: leaf[1], s.params) for s in (before, after)), rtol=0
  )
  assert all(np.isnan(values[1]) and np.isfinite(values[0]) for values in measured)


def test_runs_do_not_depend_on_how_many_devices_share_them():
  assert_close(train(make_cell()), train(make_cell(), devices=1), rtol=1e-4)


def test_selection_prefers_rates_that_learn():
  cell = make_cell(rates=(1e-2, 1e-6))
  select = over_runs(cell.select, make_mesh(4), shared=1)
  errors = select(RUNS, SPLITS.selection_train, SPLITS.selection_validation, POOL)
  assert errors.shape == (4, 2)
  assert np.all(errors[:, 0] < errors[:, 1])


def test_a_rate_that_diverges_is_measured_as_nan():
  cell = make_cell('b-sgd', rates=(1e38,))
  select = over_runs(cell.select, make_mesh(4), shared=1)
  errors = select(RUNS, SPLITS.selection_train, SPLITS.selection_validation, POOL)
  assert np.isnan(errors).all()


def test_splits_are_disjoint_and_do_not_depend_on_the_number_of_runs():
  for run in range(4):
    together = [*SPLITS.train[run], *SPLITS.validation[run]]
    assert len(set(together)) == 260
    selection = [*SPLITS.selection_train[run], *SPLITS.selection_validation[run]]
    assert len(set(selection)) == 60
  assert len({tuple(row) for row in SPLITS.train.tolist()}) == 4
  more = draw_splits(dataclasses.replace(PROTOCOL, runs=7), 300)
  np.testing.assert_array_equal(more.train[:4], SPLITS.train)
  with pytest.raises(UserError, match='needs 260 training images, and there are 250'):
    draw_splits(PROTOCOL, 250)
