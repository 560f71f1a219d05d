"""The profile: its JSON contract, its numbers, its refusals."""

import json
import warnings

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from symjax import symmetry
from symjax.errors import UserError

KEYS = [
  *('name', 'kernel', 'stride', 'group', 'score', 'distances', 'random_mean'),
  *('random_std', 'z', 'skew', 'individual_mean', 'individual_std', 'mean_kernel'),
]
TRANSFORMS = ['r', 'r2', 'r3', 's', 'sr', 'sr2', 'sr3']

score = jax.jit(symmetry.score)
skew = jax.jit(symmetry.skew)


def kernel(seed, *shape):
  generator = np.random.default_rng(seed)
  return generator.standard_normal(shape, dtype=np.float32) + 0.1


def network():
  return {
    'conv_10': {'kernel': kernel(0, 3, 3, 4, 6), 'bias': np.zeros(6, np.float32)},
    'conv_2': {'kernel': kernel(1, 3, 3, 1, 8)},  # Depthwise.
    'conv_3': {'kernel': kernel(2, 3, 5, 4, 2)},
    'conv_4': {'kernel': kernel(3, 1, 7, 2, 3)},
    'point': {'kernel': kernel(4, 1, 1, 8, 8)},
  }


def layers_of(result):
  return {layer.name: layer for layer in result.layers}


def test_json_keeps_the_contract():
  content = symmetry.profile(network(), strides={'conv_2': 2, 'point': 1}).to_json()
  assert json.loads(json.dumps(content, allow_nan=False)) == content
  assert list(content) == ['mean_score', 'layers']
  names = [layer['name'] for layer in content['layers']]
  assert names == ['conv_2', 'conv_3', 'conv_4', 'conv_10']
  assert [layer['group'] for layer in content['layers']] == ['D4', 'K4', 'Z2', 'D4']
  assert [layer['stride'] for layer in content['layers']] == [2, None, None, None]
  for layer in content['layers']:
    assert list(layer) == KEYS
    assert list(layer['distances']) == TRANSFORMS
    h, w = layer['kernel']
    acting = symmetry.group_of(h, w).elements
    assert [n for n in TRANSFORMS if layer['distances'][n] is not None] == list(acting)
    assert np.shape(layer['mean_kernel']) == (h, w)
    assert np.shape(layer['skew']) == (2,)


def test_numbers_follow_from_one_another():
  result = symmetry.profile(network())
  for layer in result.layers:
    moved = [d for d in layer.distances.values() if d is not None]
    assert layer.score == pytest.approx(1 - np.mean(moved) / 2, abs=1e-6)
    band = symmetry.random_band(*layer.kernel)
    assert (layer.random_mean, layer.random_std) == (band.mean, band.std)
    assert layer.z == pytest.approx((layer.score - band.mean) / band.std)
  scores = [layer.score for layer in result.layers]
  assert result.mean_score == pytest.approx(np.mean(scores))


def test_layers_are_measured_as_if_alone():
  params = network()
  for name, layer in layers_of(symmetry.profile(params)).items():
    weights = params[name]['kernel']
    mean = weights.astype(np.float64).mean((2, 3))
    np.testing.assert_allclose(layer.mean_kernel, mean, atol=1e-6)
    np.testing.assert_allclose(layer.score, score(mean), atol=1e-5)
    np.testing.assert_allclose(layer.skew, skew(mean), atol=1e-5)
    singles = np.asarray(score(weights), np.float64)
    assert layer.individual_mean == pytest.approx(singles.mean(), abs=1e-6)
    assert layer.individual_std == pytest.approx(singles.std(), abs=1e-6)


def test_single_kernels_that_are_zero_are_left_out():
  weights = kernel(0, 3, 3, 4, 6)
  pruned = weights.copy()
  pruned[:, :, 1, :] = 0
  kept = np.delete(weights, 1, axis=2)
  found = symmetry.profile({'a': pruned}).layers[0]
  expected = symmetry.profile({'a': kept}).layers[0]
  assert found.individual_mean == pytest.approx(expected.individual_mean, abs=1e-6)
  assert found.individual_std == pytest.approx(expected.individual_std, abs=1e-6)


@pytest.mark.parametrize('layout', ['OIHW', 'IOHW'])  # PyTorch: plain and transposed.
def test_layouts_agree(layout):
  kernels = {name: leaf['kernel'] for name, leaf in network().items()}
  moved = {
    f'{name}.weight': k.transpose(['HWIO'.index(letter) for letter in layout])
    for name, k in kernels.items()
  }
  found = layers_of(symmetry.profile(moved, layout))
  assert list(found) == ['conv_10', 'conv_2', 'conv_3', 'conv_4']  # As given.
  for name, expected in layers_of(symmetry.profile(kernels)).items():
    assert found[name].score == pytest.approx(expected.score, abs=1e-6)
    assert found[name].individual_mean == pytest.approx(expected.individual_mean)
    np.testing.assert_allclose(found[name].skew, expected.skew, atol=1e-6)


@pytest.mark.parametrize('dtype', [ml_dtypes.bfloat16, np.float16, np.float64])
def test_other_floats_are_measured_in_single(dtype):
  params = jax.tree.map(lambda leaf: leaf.astype(dtype), network())
  same = jax.tree.map(lambda leaf: leaf.astype(np.float32), params)
  assert symmetry.profile(params) == symmetry.profile(same)


def test_jax_arrays_and_shards_are_measured_alike():
  mesh = jax.make_mesh((4,), ('d',), axis_types=(jax.sharding.AxisType.Auto,))
  spec = jax.sharding.PartitionSpec(None, None, 'd', None)
  sharding = jax.sharding.NamedSharding(mesh, spec)
  weights = {'a': kernel(0, 3, 3, 8, 5), 'b': kernel(1, 3, 3, 4, 3)}
  sharded = jax.tree.map(lambda leaf: jax.device_put(leaf, sharding), weights)
  expected = layers_of(symmetry.profile(weights))
  for name, layer in layers_of(symmetry.profile(sharded)).items():
    assert layer.score == pytest.approx(expected[name].score, abs=1e-5)
    assert layer.individual_std == pytest.approx(expected[name].individual_std)


def test_same_shapes_compile_once():
  symmetry.profile(network())
  doubled = jax.tree.map(lambda leaf: 2 * leaf, network())
  with jax.no_tracing():
    symmetry.profile(doubled)


def test_zero_mean_kernel_has_no_score_and_is_named():
  odd = np.round(8 * kernel(0, 3, 3, 2, 4))  # Whole numbers: the mean is exactly 0.
  odd = np.concatenate([odd, -odd], axis=3)
  params = {'odd': odd, 'dead': 0 * odd, 'alive': kernel(1, 3, 3, 2, 4)}
  with pytest.warns(UserWarning, match='zero mean kernel.*: odd, dead$'):
    result = symmetry.profile(params)
  content = result.to_json()
  layers = {layer['name']: layer for layer in content['layers']}
  for name in ('odd', 'dead'):
    assert layers[name]['score'] is layers[name]['z'] is layers[name]['skew'] is None
    assert set(layers[name]['distances'].values()) == {None}
  assert layers['odd']['individual_mean'] is not None
  assert layers['dead']['individual_mean'] is layers['dead']['individual_std'] is None
  assert content['mean_score'] == layers['alive']['score']


def test_network_without_any_score_has_no_mean():
  with pytest.warns(UserWarning, match='dead'):
    result = symmetry.profile({'dead': np.zeros((3, 3, 2, 2), np.float32)})
  assert result.mean_score is None


@pytest.mark.parametrize('weight', [np.nan, np.inf, -np.inf])
def test_non_finite_weights_are_refused_by_name(weight):
  params = network()
  params['conv_3']['kernel'][1, 2, 0, 1] = weight
  with pytest.raises(UserError, match='conv_3'):
    symmetry.profile(params)


def test_tree_without_convolution_is_refused():
  with pytest.raises(UserError, match='no convolution'):
    symmetry.profile({'head': {'kernel': jnp.zeros((4, 10))}})


def test_scored_network_gives_no_warning():
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    symmetry.profile(network())


def test_random_initialisation_is_in_the_band():
  # Fig. 3, left: a fresh network's layers average the band of 3x3 kernels.
  params = {f'conv_{n}': kernel(n, 3, 3, 16, 16) - np.float32(0.1) for n in range(20)}
  result = symmetry.profile(params)
  band = symmetry.random_band(3, 3)
  assert abs(result.mean_score - band.mean) < 4 * band.std / 20**0.5
  z = np.array([layer.z for layer in result.layers])
  assert abs(z.mean()) < 4 / 20**0.5 and 0.4 < z.std() < 1.6
