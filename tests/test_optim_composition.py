import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optim_walks import SPHERICAL, assert_close, gaussian, gradients_like, kernels, walk

from symjax.optim import project_to_tangent, retract_update, riemannian_sgd, unit_norm


def test_in_a_chain_what_comes_before_is_seen(float64):
  start = kernels(np.float64)
  clipped = walk(
    optax.chain(optax.clip_by_global_norm(1.0), unit_norm(optax.sgd(0.1))), start, 3
  )

  def clip(params, step):
    gradients = gradients_like(params, step)
    norm = optax.tree.norm(gradients)
    return jax.tree.map(lambda g: g / norm, gradients)

  assert_close(clipped, walk(unit_norm(optax.sgd(0.1)), start, 3, clip), 1e-14)


def test_a_partition_leaves_the_other_parameters_alone(float64):
  start = {**kernels(np.float64), 'bias': gaussian((6,), 9, np.float64)}
  labels = {'conv': 'sphere', 'dense': 'flat', 'bias': 'flat'}
  optimizer = optax.partition(
    {'sphere': unit_norm(optax.sgd(0.1)), 'flat': optax.sgd(0.2)}, labels
  )
  expected = walk(optax.sgd(0.2), start, 3)[-1]
  expected['conv'] = walk(unit_norm(optax.sgd(0.1)), {'conv': start['conv']}, 3)[-1][
    'conv'
  ]
  assert_close(walk(optimizer, start, 3)[-1], expected, 1e-14)


def test_a_partition_may_leave_nothing_on_the_sphere():
  params = {'bias': gaussian((6,), 0)}
  for sphere in SPHERICAL.values():
    optimizer = optax.partition(
      {'sphere': sphere, 'flat': optax.sgd(0.2)}, {'bias': 'flat'}
    )
    assert_close(walk(optimizer, params, 2), walk(optax.sgd(0.2), params, 2), 0)


def test_one_masked_link_at_a_time(float64):
  start = kernels(np.float64)
  mask = {'conv': True, 'dense': False}
  links = (project_to_tangent(), optax.sgd(0.1), retract_update())
  masked = optax.chain(
    optax.masked(links[0], mask), links[1], optax.masked(links[2], mask)
  )
  expected = {
    'conv': walk(riemannian_sgd(0.1), start, 3)[-1]['conv'],
    'dense': walk(optax.sgd(0.1), start, 3)[-1]['dense'],
  }
  assert_close(walk(masked, start, 3)[-1], expected, 1e-14)


def test_rates_can_be_injected_and_scheduled():
  start = kernels()
  expected = walk(riemannian_sgd(0.1, 0.9), start, 1)
  inside = unit_norm(optax.inject_hyperparams(optax.sgd)(0.1, 0.9))
  outside = optax.inject_hyperparams(riemannian_sgd)(0.1, 0.9)
  scheduled = riemannian_sgd(optax.constant_schedule(0.1), 0.9)
  for optimizer in (inside, outside, scheduled):
    assert_close(walk(optimizer, start, 1), expected, 3e-7)
    assert jax.tree.leaves(optimizer.init(start))
  state = outside.init(start)
  state.hyperparams['learning_rate'] = jnp.float32(0)
  updates, _ = outside.update(gradients_like(start, 1), state, start)
  assert_close(updates, jax.tree.map(jnp.zeros_like, start), 2e-7)


def test_extra_arguments_reach_the_base():
  polyak = optax.polyak_sgd(max_learning_rate=0.1)
  params = kernels()
  optimizer = unit_norm(polyak)
  state = optimizer.init(params)
  gradients = gradients_like(params, 1)
  updates, _ = optimizer.update(gradients, state, params, value=1e9)
  expected, _ = riemannian_sgd(0.1).update(
    gradients, riemannian_sgd(0.1).init(params), params
  )
  assert_close(updates, expected, 1e-6)


@pytest.mark.parametrize('name', SPHERICAL)
def test_jit_and_vmap_give_the_same_numbers(float64, name):
  optimizer = SPHERICAL[name]
  runs = [kernels(np.float64, seed) for seed in (0, 10, 20)]
  together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *runs)
  first = runs[0]

  def two_steps(params):
    state = optimizer.init(params)
    for _ in range(2):
      # The first run's are long and radial, so that runs differ in what they need.
      gradients = jax.tree.map(lambda w, w0: jnp.cos(w) + 1e3 * w0, params, first)
      updates, state = optimizer.update(gradients, state, params)
      params = optax.apply_updates(params, updates)
    return params

  plain = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(two_steps, runs))
  assert_close(jax.jit(jax.vmap(two_steps))(together), plain, 1e-12)


@pytest.mark.parametrize('split', ['in', 'out'])
@pytest.mark.parametrize('name', SPHERICAL)
def test_sharded_parameters_give_the_same_numbers(float64, name, split):
  """Filters apart from each other, and filters in pieces."""
  mesh = jax.make_mesh((4,), (split,), axis_types=(jax.sharding.AxisType.Auto,))
  names = {'in': (None, None, 'in', None), 'out': (None, None, None, 'out')}[split]
  sharding = jax.NamedSharding(mesh, jax.sharding.PartitionSpec(*names))
  start = {'kernel': kernels(np.float64)['conv']['kernel']}
  gradients = gradients_like(start, 1)
  optimizer = SPHERICAL[name]

  @jax.jit
  def step(params, state, gradients):
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates)

  spread = jax.device_put(start, sharding)
  landed = step(spread, optimizer.init(spread), jax.device_put(gradients, sharding))
  assert len(landed['kernel'].sharding.device_set) == 4
  assert_close(landed, step(start, optimizer.init(start), gradients), 1e-14)


def test_the_state_can_be_mapped_like_that_of_any_optimiser():
  params = kernels()
  for optimizer in (unit_norm(optax.sgd(0.1, 0.9)), riemannian_sgd(0.1, 0.9)):
    state = optimizer.init(params)
    halves = optax.tree.map_params(optimizer, lambda leaf: leaf + 0.5, state)
    assert_close(jax.tree.leaves(halves), jax.tree.map(lambda _: 0.5, [0, 0]), 0)
