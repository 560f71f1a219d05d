import jax.numpy as jnp
import numpy as np
import optax
import pytest

from symjax.errors import UserError
from symjax.optim import make_optimizer

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
    UserError, match="unknown optimizer 'sdg'; choose from sgd, adamw"
  ):
    make_optimizer(0.1, 'sdg')
