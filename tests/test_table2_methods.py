import jax
import numpy as np
import optax
import pytest
from optim_walks import gaussian

from symjax.errors import UserError
from symjax.experiments.table2 import METHODS
from symjax.experiments.table2.methods import get_method
from symjax.optim import largest_departure, normalize_filters

PARAMS = normalize_filters(
  {
    'filters_0': {'kernel': gaussian((9, 4), 0)},
    'theta': {'kernel': gaussian((4, 3), 1)},
  }
)
GRADIENTS = {
  'filters_0': {'kernel': gaussian((9, 4), 2)},
  'theta': {'kernel': gaussian((4, 3), 3)},
}


def moved(name, examples=1, rate=0.1, steps=1):
  optimizer = METHODS[name].optimizer(rate, (r'filters_\d+/kernel',), examples)
  params, state = PARAMS, optimizer.init(PARAMS)
  for _ in range(steps):
    gradients = jax.tree.map(lambda leaf: examples * leaf, GRADIENTS)
    updates, state = optimizer.update(gradients, state, params)
    params = optax.apply_updates(params, updates)
  return jax.tree.map(np.asarray, params)


@pytest.mark.parametrize('name', METHODS)
def test_only_these_keep_filters_on_the_sphere_and_none_keeps_theta_there(name):
  params = moved(name, steps=3)
  departure = largest_departure({'kernel': params['filters_0']['kernel']})
  keeps = name in ('un', 'renormalize', 'un-momentum')
  assert departure < 1e-6 if keeps else departure > 1e-2
  assert largest_departure({'kernel': params['theta']['kernel']}) > 1e-2


@pytest.mark.parametrize('name', METHODS)
def test_a_sum_over_examples_is_a_mean_at_a_higher_rate(name):
  """Decay included, which is that of one example."""
  by_sum, by_mean = moved(name, 50, 0.002, steps=3), moved(name, 1, 0.1, steps=3)
  for a, b in zip(jax.tree.leaves(by_sum), jax.tree.leaves(by_mean), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_methods_differ_only_where_they_say():
  plain, decayed = moved('b-sgd'), moved('b-sgd-decay')
  for layer in PARAMS:
    kernel = np.asarray(PARAMS[layer]['kernel'])
    step = kernel - 0.1 * np.asarray(GRADIENTS[layer]['kernel'])
    np.testing.assert_allclose(plain[layer]['kernel'], step, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
      decayed[layer]['kernel'], step - 0.1 * 5e-4 * kernel, rtol=1e-5, atol=1e-6
    )
  # On the sphere the scaled metric is the Euclidean one, for the first step.
  np.testing.assert_allclose(
    moved('sm')['filters_0']['kernel'], plain['filters_0']['kernel'], atol=1e-6
  )
  straight = plain['filters_0']['kernel']
  np.testing.assert_allclose(
    moved('renormalize')['filters_0']['kernel'],
    straight / np.linalg.norm(straight, axis=0),
    atol=1e-6,
  )
  for name in ('un', 'renormalize', 'sm'):
    np.testing.assert_array_equal(
      moved(name)['theta']['kernel'], plain['theta']['kernel']
    )


def test_unknown_methods_are_named():
  with pytest.raises(UserError, match="unknown method 'nu'; choose from b-sgd, un, sm"):
    get_method('nu')
