"""Finding the convolutions of a tree; mean scores and the regulariser."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjax import symmetry
from symjax.errors import UserError


def kernel(seed, *shape):
  generator = np.random.default_rng(seed)
  return generator.standard_normal(shape, dtype=np.float32)


def network():
  """Plain, pointwise, depthwise and long convolutions, and what is none."""
  return {
    'stem': {'kernel': kernel(0, 7, 7, 3, 8), 'bias': np.zeros(8, np.float32)},
    'block_10': {'conv': {'kernel': kernel(1, 3, 3, 8, 8)}},
    'block_2': {'conv': {'kernel': kernel(2, 3, 3, 1, 8)}},
    'point': {'kernel': kernel(3, 1, 1, 8, 8)},
    'line': {'kernel': kernel(4, 1, 7, 8, 4)},
    'tokens': np.zeros((3, 3, 2, 2), np.int32),
    'head': {'kernel': kernel(5, 4, 10)},
  }


def test_finds_convolutions_in_natural_order():
  names = list(symmetry.convolutions(network()))
  assert names == ['block_2/conv', 'block_10/conv', 'line', 'stem']


def test_order_follows_components_not_characters():
  tree = {
    'a_1': {'kernel': kernel(0, 3, 3, 1, 1)},
    'a': {'b': {'kernel': kernel(0, 3, 3, 1, 1)}},
    'stages': [{'kernel': kernel(n, 3, 3, 1, 1)} for n in range(11)],
  }
  names = list(symmetry.convolutions(tree))
  assert names == ['a/b', 'a_1'] + [f'stages/{n}' for n in range(11)]


def test_flat_dict_keeps_its_order():
  flat = {
    'layer1.10.conv.weight': kernel(0, 4, 3, 3, 3),
    'layer1.9.conv.weight': kernel(1, 4, 4, 3, 3),
    'layer1.9.bn.weight': np.ones(4, np.float32),
    'fc.weight': kernel(3, 10, 4),
    'conv1.weight': kernel(2, 4, 4, 7, 7),
  }
  names = list(symmetry.convolutions(flat, 'OIHW'))
  assert names == ['layer1.10.conv', 'layer1.9.conv', 'conv1']


def test_no_layer_is_lost_to_a_shared_name():
  pair = {'kernel': kernel(0, 3, 3, 1, 1), 'weight': kernel(1, 3, 3, 1, 1)}
  found = symmetry.convolutions({'a': pair})
  assert list(found) == ['a/kernel', 'a/weight']


@pytest.mark.parametrize(
  'params',
  [{}, {'head': {'kernel': np.zeros((4, 10))}}, {'point': kernel(0, 1, 1, 2, 2)}],
)
def test_tree_without_convolution_is_refused(params):
  with pytest.raises(UserError, match='no convolution'):
    symmetry.mean_scores(params)


def test_layout_must_name_four_axes():
  with pytest.raises(UserError, match='HWI'):
    symmetry.mean_scores(network(), 'HWI')


def test_mean_scores_are_the_scores_of_the_means():
  params = network()
  found = symmetry.mean_scores(params)
  kernels = symmetry.convolutions(params)
  assert list(found) == list(kernels)
  for name, weights in kernels.items():
    expected = jax.jit(symmetry.score)(weights.astype(np.float64).mean((2, 3)))
    np.testing.assert_allclose(found[name], expected, atol=1e-6)


def test_mean_symmetry_is_the_mean_of_mean_scores():
  expected = np.mean(list(symmetry.mean_scores(network()).values()))
  np.testing.assert_allclose(symmetry.mean_symmetry(network()), expected, rtol=1e-6)


def in_oihw(tree):
  return jax.tree.map(lambda x: x.transpose(3, 2, 0, 1) if x.ndim == 4 else x, tree)


def test_layouts_agree():
  found = symmetry.mean_scores(in_oihw(network()), 'OIHW')
  for name, expected in symmetry.mean_scores(network()).items():
    np.testing.assert_allclose(found[name], expected, atol=1e-6)


def test_same_shapes_compile_once():
  rng = np.random.default_rng(0)
  symmetry.mean_scores(network())
  other = jax.tree.map(lambda x: rng.permuted(x).astype(x.dtype), network())
  with jax.no_tracing():
    symmetry.mean_scores(other)


def test_sharded_weights_score_the_same():
  devices = jax.make_mesh((4,), ('d',), axis_types=(jax.sharding.AxisType.Auto,))
  spec = jax.sharding.PartitionSpec(None, None, None, 'd')
  sharding = jax.sharding.NamedSharding(devices, spec)
  convolutions = symmetry.convolutions(network())
  sharded = {name: jax.device_put(k, sharding) for name, k in convolutions.items()}
  found = symmetry.mean_scores(sharded)
  for name, expected in symmetry.mean_scores(convolutions).items():
    np.testing.assert_allclose(found[name], expected, atol=1e-6)


gradient = jax.jit(jax.grad(symmetry.mean_symmetry))


def test_regulariser_gradient_is_even_over_a_layer(float64):
  # Only the mean kernel counts: each weight of a tap has the same gradient, which
  # is that of the score over the number of layers and of kernels.
  params = {name: k.astype(np.float64) for name, k in conv_pair().items()}
  found = gradient(params)
  for name, weights in params.items():
    of_mean = jax.jit(jax.grad(symmetry.score))(weights.mean((2, 3)))
    kernels = weights.shape[2] * weights.shape[3]
    expected = np.asarray(of_mean)[:, :, None, None] / (2 * kernels)
    expected = np.broadcast_to(expected, weights.shape)
    np.testing.assert_allclose(found[name], expected, atol=1e-12)


def conv_pair():
  return {'a': kernel(0, 3, 3, 2, 4), 'b': kernel(1, 5, 5, 3, 2)}


def test_regulariser_leaves_out_layers_without_score():
  pair = conv_pair()
  whole = np.round(8 * pair['a'])  # Whole numbers, so that the mean is exactly 0.
  odd = np.concatenate([whole, -whole], axis=3)
  params = {**pair, 'zero': np.zeros_like(pair['a']), 'cancelling': odd}
  params['point'] = kernel(2, 1, 1, 4, 4)
  np.testing.assert_allclose(
    symmetry.mean_symmetry(params), symmetry.mean_symmetry(pair), rtol=1e-6
  )
  found = gradient(params)
  assert all(np.isfinite(g).all() for g in found.values())
  for name in ('zero', 'cancelling', 'point'):
    assert not found[name].any()
  assert found['a'].any() and found['b'].any()


def test_regulariser_gradient_is_finite_at_symmetric_layers():
  symmetric = {'a': np.ones((3, 3, 2, 2), np.float32)}
  assert not gradient(symmetric)['a'].any()


def test_regulariser_without_any_score_is_nan_with_zero_gradient():
  params = {'zero': np.zeros((3, 3, 2, 2), np.float32)}
  assert np.isnan(symmetry.mean_symmetry(params))
  assert not gradient(params)['zero'].any()


def test_regulariser_does_not_hide_diverged_weights():
  params = {**conv_pair(), 'c': np.full((3, 3, 1, 1), np.nan, np.float32)}
  assert np.isnan(symmetry.mean_symmetry(params))


def test_ascent_makes_layers_symmetric():
  params = jax.tree.map(jnp.asarray, conv_pair())
  before = symmetry.mean_symmetry(params)
  for _ in range(30):
    step = gradient(params)
    params = jax.tree.map(lambda p, g: p + 3 * g, params, step)
  assert float(symmetry.mean_symmetry(params)) > float(before) + 0.2
