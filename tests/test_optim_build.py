import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optim_walks import gaussian

from symjax.errors import UserError
from symjax.optim import make_optimizer, riemannian_sgd, start_on_sphere

PARAMS = {'kernel': jnp.array([[3.0, -4.0]]), 'bias': jnp.array([2.0])}
GRADIENTS = {'kernel': jnp.array([[1.0, 2.0]]), 'bias': jnp.array([-1.0])}


def run(optimizer, steps):
  params, state = PARAMS, optimizer.init(PARAMS)
  for _ in range(steps):
    updates, state = optimizer.update(GRADIENTS, state, params)
    params = optax.apply_updates(params, updates)
  return params


def test_sgd_is_pytorchs():
  """v <- m v + g + d w; w <- w - r v, with decay on kernels only."""
  expected = {name: np.asarray(value, np.float64) for name, value in PARAMS.items()}
  velocity = {name: np.zeros_like(value) for name, value in expected.items()}
  for _ in range(3):
    for name, decay in (('kernel', 0.1), ('bias', 0.0)):
      gradient = np.asarray(GRADIENTS[name]) + decay * expected[name]
      velocity[name] = 0.9 * velocity[name] + gradient
      expected[name] = expected[name] - 0.01 * velocity[name]
  params = run(make_optimizer(0.01, 'sgd', momentum=0.9, weight_decay=0.1), 3)
  for name in params:
    np.testing.assert_allclose(params[name], expected[name], rtol=1e-6)


def test_adamw_decays_kernels_decoupled(standard_promotion):
  """With equal gradients every Adam step is the rate, whatever the decay adds."""
  plain = run(make_optimizer(0.01, 'adamw'), 1)
  decayed = run(make_optimizer(0.01, 'adamw', weight_decay=0.5), 1)
  np.testing.assert_allclose(decayed['bias'], plain['bias'])
  np.testing.assert_allclose(
    decayed['kernel'], plain['kernel'] - 0.01 * 0.5 * PARAMS['kernel'], rtol=1e-5
  )


def test_unknown_optimizers_are_named():
  with pytest.raises(
    UserError, match="unknown optimizer 'sdg'; choose from sgd, adamw, unit_norm"
  ):
    make_optimizer(0.1, 'sdg')


NETWORK = {
  'layer_0': {'kernel': gaussian((3, 3, 2, 4), 0), 'bias': gaussian((4,), 1)},
  'head': {'kernel': gaussian((4, 5), 2), 'bias': gaussian((5,), 3)},
}
SPHERES = (r'layer_\d+/kernel',)


def test_unit_norm_holds_only_the_kernels_that_normalisation_follows():
  """The rest moves as under plain SGD, with its decay; decay leaves filters alone."""
  options = dict(momentum=0.9, weight_decay=0.1)
  params = start_on_sphere(NETWORK, SPHERES)
  unit_norm = make_optimizer(0.1, 'unit_norm', normalized_kernels=SPHERES, **options)
  moved = walk(unit_norm, params, steps=4)
  flat = walk(make_optimizer(0.1, 'sgd', **options), params, steps=4)
  kernel = params['layer_0']['kernel']
  spherical = walk(riemannian_sgd(0.1, 0.9), {'layer_0': {'kernel': kernel}}, steps=4)
  norms = jnp.linalg.norm(moved['layer_0']['kernel'].reshape(-1, 4), axis=0)
  np.testing.assert_allclose(norms, 1, atol=1e-6)
  assert np.abs(moved['layer_0']['kernel'] - kernel).max() > 0.1
  np.testing.assert_array_equal(
    moved['layer_0']['kernel'], spherical['layer_0']['kernel']
  )
  for path in (('layer_0', 'bias'), ('head', 'kernel'), ('head', 'bias')):
    np.testing.assert_array_equal(moved[path[0]][path[1]], flat[path[0]][path[1]])


def walk(optimizer, params, steps):
  """`steps` updates along gradients that are the cosines of the parameters."""
  state = optimizer.init(params)
  for _ in range(steps):
    updates, state = optimizer.update(jax.tree.map(jnp.cos, params), state, params)
    params = optax.apply_updates(params, updates)
  return params


def test_unit_norm_without_momentum_keeps_no_buffer():
  optimizer = make_optimizer(
    0.1, 'unit_norm', momentum=0.0, normalized_kernels=('head/kernel',)
  )
  state = optimizer.init(start_on_sphere(NETWORK, ('head/kernel',)))
  leaves = jax.tree.leaves(state.inner_states['sphere'])
  assert sum(leaf.size for leaf in leaves) < NETWORK['head']['kernel'].size


@pytest.mark.parametrize(
  'name, rate', [('sgd', 0.01), ('unit_norm', optax.linear_schedule(0.01, 0.02, 4))]
)
def test_a_layer_may_have_a_rate_of_its_own(name, rate):
  """It moves as the whole network would at that rate, on spheres and off."""
  options = dict(momentum=0.9, weight_decay=0.1, normalized_kernels=SPHERES)
  params = start_on_sphere(NETWORK, SPHERES)
  factors = (('layer_0/.*', 10.0), ('.*/kernel', 2.0))

  def moved(times, **factors):
    scaled = (lambda step: times * rate(step)) if callable(rate) else times * rate
    return walk(make_optimizer(scaled, name, **options, **factors), params, steps=3)

  mixed = moved(1.0, rate_factors=factors)
  for layer, leaf, times in (
    ('layer_0', 'kernel', 10.0),
    ('layer_0', 'bias', 10.0),
    ('head', 'kernel', 2.0),
    ('head', 'bias', 1.0),
  ):
    np.testing.assert_allclose(mixed[layer][leaf], moved(times)[layer][leaf], rtol=1e-6)


def test_factors_that_are_no_rates_are_named():
  with pytest.raises(UserError, match="has 0 for 'head/.*'; a factor is positive"):
    make_optimizer(0.1, rate_factors=(('head/.*', 0),))


@pytest.mark.parametrize(
  'factors', [('head/.*', 10.0), (('head/.*', '10'),), ((1, 2),)]
)
def test_factors_that_are_no_pairs_are_named(factors):
  with pytest.raises(UserError, match=r'optimizer.rate_factors has .*; give pairs of'):
    make_optimizer(0.1, rate_factors=factors)


def test_what_cannot_be_on_a_sphere_is_named():
  with pytest.raises(UserError, match='this network has none: choose model.batch_norm'):
    make_optimizer(0.1, 'unit_norm')
  optimizer = make_optimizer(0.1, 'unit_norm', normalized_kernels=('layer_0/.*',))
  with pytest.raises(UserError, match='^layer_0/bias: no filters are known for rank 1'):
    optimizer.init(NETWORK)
  optimizer = make_optimizer(0.1, 'unit_norm', normalized_kernels=SPHERES)
  with pytest.raises(UserError, match='^layer_0/kernel: filter . has norm .*, not 1'):
    optimizer.init(NETWORK)


@pytest.mark.parametrize('name', ['sgd', 'adamw', 'unit_norm'])
@pytest.mark.parametrize('factor', [0.1, 10.0])
def test_clipping_gives_the_update_of_clipped_gradients(
  standard_promotion, name, factor
):
  """By the norm of all gradients together, before any link of the optimiser."""
  options = dict(weight_decay=0.1, normalized_kernels=SPHERES)
  params = start_on_sphere(NETWORK, SPHERES)
  gradients = jax.tree.map(lambda leaf: jnp.sin(3 * leaf), params)
  norm = float(np.sqrt(sum((np.square(g)).sum() for g in jax.tree.leaves(gradients))))
  clipped = jax.tree.map(lambda g: min(factor, 1.0) * g, gradients)
  found, expected = (
    optimizer.update(given, optimizer.init(params), params)[0]
    for optimizer, given in (
      (make_optimizer(0.1, name, clip_norm=factor * norm, **options), gradients),
      (make_optimizer(0.1, name, **options), clipped),
    )
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), found, expected
  )


@pytest.mark.parametrize('norm', [0.0, -1.0, float('inf'), float('nan')])
def test_a_norm_to_clip_to_is_positive(norm):
  with pytest.raises(UserError, match=rf'optimizer.clip_norm={norm} must be positive'):
    make_optimizer(0.1, clip_norm=norm)
