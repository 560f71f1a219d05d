"""Group convolutions beside the plain ones that they are: export, size and start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from group_laws import ORDERS, TURNING, random_bias

from symjax.nn import MODES, Conv, ConvPolicy, GroupConv, LiftingConv


def test_p1_is_a_plain_convolution(key):
  x = jax.random.normal(key, (2, 8, 8, 3))
  lift, variables = LiftingConv(4, 'p1', stride=2), Conv(4).init(key, x)
  plain = Conv(4, strides=(2, 2))
  y = plain.apply(variables, x)
  np.testing.assert_array_equal(lift.apply(variables, x)[..., 0, :], y)
  group = GroupConv(4, 'p1', stride=2)
  np.testing.assert_array_equal(group.apply(variables, x[..., None, :])[..., 0, :], y)


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('group', TURNING)
def test_exported_layers_compute_the_same(key, mode, group):
  order = ORDERS[group]
  options = dict(features=3, group=group, stride=2, policy=ConvPolicy(mode))
  for layer, x in (
    (LiftingConv(**options), jax.random.normal(key, (2, 9, 9, 2))),
    (GroupConv(**options), jax.random.normal(key, (2, 9, 9, order, 2))),
  ):
    variables = random_bias(layer.init(key, x), key)
    conv, plain = layer.export(variables)
    assert type(conv) is Conv
    assert plain['params']['kernel'].shape[-1] == order * 3
    y = conv.apply(plain, x.reshape(2, 9, 9, -1))
    expected = layer.apply(variables, x)
    np.testing.assert_allclose(y.reshape(expected.shape), expected, atol=1e-6)


def test_linen_takes_an_exported_convolution(key):
  """Nothing of this library is needed to run it."""
  x = jax.random.normal(key, (2, 8, 8, 8, 2))
  layer = GroupConv(3)
  variables = random_bias(layer.init(key, x), key)
  _, plain = layer.export(variables)
  y = nn.Conv(24, (3, 3), padding=1).apply(plain, x.reshape(2, 8, 8, -1))
  expected = layer.apply(variables, x).reshape(y.shape)
  np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize('group', TURNING)
def test_parameters_are_as_many_times_fewer_as_the_group_has_elements(key, group):
  order = ORDERS[group]
  x = jax.ShapeDtypeStruct((1, 8, 8, order, 4), jnp.float32)
  plane = jax.ShapeDtypeStruct((1, 8, 8, order * 4), jnp.float32)
  count = [
    sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(layer.init, key, x)))
    for layer, x in ((GroupConv(6, group), x), (Conv(order * 6), plane))
  ]
  assert count[1] == order * count[0]
  image = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)
  count = [
    sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(layer.init, key, image)))
    for layer in (LiftingConv(6, group), Conv(order * 6))
  ]
  assert count[1] == order * count[0]


@pytest.mark.parametrize('group', TURNING)
def test_the_start_is_that_of_the_plain_convolution(key, group):
  """He's variance, with the fan of all |G| features."""
  order = ORDERS[group]
  x = jnp.zeros((1, 3, 3, order, 16))
  std = GroupConv(32, group).init(key, x)['params']['kernel'].std()
  assert float(std) == pytest.approx(np.sqrt(2 / (9 * order * 32)), rel=0.02)
  plain = Conv(order * 32).init(key, x.reshape(1, 3, 3, -1))['params']['kernel'].std()
  assert float(std) == pytest.approx(float(plain), rel=0.02)


def test_bfloat16_computes_in_bfloat16_and_holds_float32(key):
  x = jax.random.normal(key, (1, 8, 8, 8, 2))
  y, variables = GroupConv(3, dtype=jnp.bfloat16).init_with_output(key, x)
  assert y.dtype == jnp.bfloat16
  assert variables['params']['kernel'].dtype == jnp.float32
