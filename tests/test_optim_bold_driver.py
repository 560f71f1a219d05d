import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjax.errors import UserError
from symjax.optim import BOLD_DRIVERS, BoldDriver, make_bold_driver

STAY = BoldDriver(up=1.1, down=0.5, rollback=False)
BACK = BoldDriver(up=1.1, down=0.5, rollback=True)
COSTS = [9.0, 7.0, 8.0, 7.5, 7.5, np.nan, 7.4, np.inf, 1.0]


def drive(driver, costs, rate=1.0):
  """Rates and parameters after each epoch; epoch n ends with parameters n."""
  state = driver.init(rate, jnp.int32(0))
  rates, kept = [], []
  for epoch, cost in enumerate(costs, 1):
    state, params = driver.update(state, cost, jnp.int32(epoch))
    rates.append(float(state.rate))
    kept.append(int(params))
  return rates, kept


def factors(rates, start=1.0):
  return np.divide(rates, [start, *rates[:-1]]).round(5).tolist()


def test_the_first_epoch_only_sets_the_reference():
  for driver in (STAY, BACK):
    assert drive(driver, [5.0], rate=0.3) == ([pytest.approx(0.3)], [1])


def test_without_rollback_each_cost_is_compared_with_the_last():
  rates, kept = drive(STAY, COSTS)
  # 7.5 is below 8; an equal cost has not risen; 7.4 is compared with 7.5, not NaN.
  assert factors(rates) == [1, 1.1, 0.5, 1.1, 1.1, 0.5, 1.1, 0.5, 1.1]
  assert kept == list(range(1, 10))


def test_with_rollback_costs_are_compared_with_the_last_good_one():
  rates, kept = drive(BACK, COSTS)
  # 7.5 and 7.4 are above the 7 to whose parameters epoch 3 went back.
  assert factors(rates) == [1, 1.1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.1]
  assert kept == [1, 2, 2, 2, 2, 2, 2, 2, 9]


def test_a_run_that_begins_with_nan_returns_to_its_start():
  costs = [np.nan, 5.0, 4.0]
  assert (
    factors(drive(BACK, costs)[0]) == factors(drive(STAY, costs)[0]) == [0.5, 1, 1.1]
  )
  assert drive(BACK, costs)[1] == [0, 2, 3]


def test_nan_parameters_do_not_leak_through_the_rollback():
  params = {'w': jnp.ones(3), 'steps': jnp.int32(4)}
  state = BACK.init(0.1, params)
  broken = {'w': jnp.full(3, jnp.nan), 'steps': jnp.int32(5)}
  state, restored = BACK.update(state, jnp.nan, broken)
  for tree in (restored, state.params):
    np.testing.assert_array_equal(tree['w'], params['w'])
    assert tree['steps'] == 4


@pytest.mark.parametrize('driver', [STAY, BACK], ids=['stay', 'back'])
def test_scan_and_vmap_agree_with_a_loop(driver):
  """The state keeps its structure and dtypes, and runs do not see each other."""
  runs = [COSTS, [np.nan, 3.0, 2.0, 4.0, 3.0, 1.0, 5.0, 0.5, 0.25], COSTS[::-1]]
  rates = [1.0, 0.1, 3.0]

  @jax.jit
  @functools.partial(jax.vmap, in_axes=(0, 1))
  def scanned(rate, costs):
    def epoch(carry, cost):
      state, params = carry
      state, params = driver.update(state, cost, params + 1)
      return (state, params), (state.rate, params)

    start = jnp.int32(0)
    return jax.lax.scan(epoch, (driver.init(rate, start), start), costs)[1]

  found_rates, found_params = scanned(jnp.array(rates), jnp.array(runs).T)
  for run, (costs, rate) in enumerate(zip(runs, rates, strict=True)):
    expected, params = [], 0
    state = driver.init(rate, jnp.int32(0))
    for cost in costs:
      state, params = driver.update(state, cost, jnp.int32(params + 1))
      expected.append((float(state.rate), int(params)))
    np.testing.assert_allclose(found_rates[run], [r for r, _ in expected], rtol=1e-6)
    np.testing.assert_array_equal(found_params[run], [p for _, p in expected])


def test_only_a_driver_that_rolls_back_keeps_parameters():
  params = {'w': jnp.ones(1000)}
  assert BACK.init(0.1, params).params is params
  for leaf in jax.tree.leaves(STAY.init(0.1, params)):
    assert leaf.shape == ()


def test_an_interrupted_run_resumes_from_arrays():
  state = BACK.init(0.1, jnp.float32(0))
  for cost in (3.0, 2.0):
    state, _ = BACK.update(state, cost, jnp.float32(cost))
  leaves, structure = jax.tree.flatten(state)
  restored = structure.unflatten([np.asarray(leaf) for leaf in leaves])
  for ours, theirs in zip(
    BACK.update(state, 4.0, jnp.float32(4)),
    BACK.update(restored, 4.0, jnp.float32(4)),
    strict=True,
  ):
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_a_parabola_is_descended_faster_than_at_a_fixed_rate():
  """From a rate that is far too small it finds a good one, and survives a high one."""

  def descend(driver, rate, epochs=60):
    x = jnp.float32(1)
    state = driver.init(rate, x)
    for _ in range(epochs):
      x = x - state.rate * 2 * x
      state, x = driver.update(state, x * x, x)
    return float(x * x)

  fixed = (1 - 2 * 0.01) ** (2 * 60)
  for rate in (0.01, 10.0):
    assert descend(make_bold_driver('classic'), rate) < 1e-3 < fixed


def test_presets():
  numbers = {
    name: (driver.up, driver.down, driver.rollback)
    for name, driver in BOLD_DRIVERS.items()
  }
  assert numbers == {
    'matlab': (1.1, 0.5, False),
    'classic': (1.05, 0.5, True),
    'table2': (1.05, 0.5, False),
  }
  assert make_bold_driver('matlab') is BOLD_DRIVERS['matlab']
  with pytest.raises(
    UserError, match="unknown bold driver 'bald'; choose from matlab, classic, table2"
  ):
    make_bold_driver('bald')


@pytest.mark.parametrize('up, down', [(0.9, 0.5), (1.1, 1.0), (1.1, 0.0), (1.1, -0.5)])
def test_factors_that_do_not_drive_are_refused(up, down):
  with pytest.raises(UserError, match='0 < down < 1 <= up'):
    BoldDriver(up, down, rollback=False)
