"""Published networks under every kind of policy and number."""

import jax
import jax.numpy as jnp
import pytest

from symjax.models import get_model
from symjax.nn import ConvPolicy

NETWORKS = {
  'alexnet': (dict(width=1 / 64), 127),
  'cifar_resnet': (dict(width=1 / 16), 16),
  'fcn': (dict(depth=18, width=1 / 64), 64),
  'inception_v3': (dict(width=1 / 32, auxiliary=False), 107),
  'resnet': (dict(depth=18, width=1 / 64), 64),
  'segnet': (dict(width=1 / 64), 32),
}
POLICIES = [
  ConvPolicy(),
  ConvPolicy('reflect', downsampling='blur'),
  ConvPolicy('partial', downsampling='balanced'),
  ConvPolicy('symmetric', 'same', downsampling='aps', blur_size=3),
]
# Of networks that refuse some of these.
OWN_POLICIES = {
  'fcn': POLICIES[:3],
  'segnet': [ConvPolicy(), ConvPolicy('reflect'), ConvPolicy('partial', 'same')],
}


def run(name, policy=POLICIES[0], dtype='float32'):
  """Shapes of the logits of a training step, and of the variables."""
  options, side = NETWORKS[name]
  model = get_model(name, 5, policy, dtype, **options)
  images = jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32)

  def step(key, images):
    rngs = {'params': key, 'dropout': key, 'phase': key}
    return model.init_with_output(rngs, images, train=True)

  key = jax.eval_shape(lambda: jax.random.key(0))
  return jax.eval_shape(step, key, images)


@pytest.mark.parametrize('name', NETWORKS)
def test_the_parameter_tree_is_the_same_under_every_policy(name):
  results = [run(name, policy) for policy in OWN_POLICIES.get(name, POLICIES)]
  assert all(result == results[0] for result in results)


@pytest.mark.parametrize('name', NETWORKS)
@pytest.mark.parametrize(
  'dtype, held', [('bfloat16', 'float32'), ('float64', 'float64')]
)
def test_dtypes(float64, standard_promotion, name, dtype, held):
  logits, variables = run(name, dtype=dtype)
  assert {str(leaf.dtype) for leaf in jax.tree.leaves(variables['params'])} == {held}
  assert logits.dtype == dtype
