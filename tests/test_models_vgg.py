import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjax.errors import UserError
from symjax.models import get_model
from symjax.nn import MODES, ConvPolicy

# torchvision's, for 1,000 classes.
PARAMETERS = {
  (11, False): 132_863_336,
  (13, False): 133_047_848,
  (16, False): 138_357_544,
  (19, False): 143_667_240,
  (11, True): 132_868_840,
  (13, True): 133_053_736,
  (16, True): 138_365_992,
  (19, True): 143_678_248,
}


def shapes(model, size=32):
  images = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
  key = jax.eval_shape(lambda: jax.random.key(0))
  variables = jax.eval_shape(model.init, key, images)
  return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), variables)


@pytest.mark.parametrize('depth, batch_norm', PARAMETERS)
def test_parameter_counts_are_torchvisions(depth, batch_norm):
  tree = shapes(get_model('vgg', 1000, depth=depth, batch_norm=batch_norm), 224)
  sizes = [np.prod(shape) for shape, _ in jax.tree.leaves(tree['params'], is_leaf=leaf)]
  assert sum(sizes) == PARAMETERS[depth, batch_norm]


def leaf(node):
  return isinstance(node, tuple)


def test_layer_names_are_torchvisions():
  tree = shapes(get_model('vgg', 10, depth=16))['params']
  numbers = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
  expected = {f'features_{n}' for n in numbers} | {f'classifier_{n}' for n in (0, 3, 6)}
  assert set(tree) == expected
  tree = shapes(get_model('vgg', 10, depth=11, batch_norm=True))
  assert set(tree['batch_stats']) == {
    f'features_{n}' for n in (1, 5, 9, 12, 16, 19, 23, 26)
  }


@pytest.mark.parametrize('head', ['classifier', 'average'])
@pytest.mark.parametrize('batch_norm', [True, False])
def test_the_parameter_tree_is_the_same_under_every_policy(head, batch_norm):
  options = dict(depth=11, width=1 / 16, stages=2, head=head, batch_norm=batch_norm)
  trees = [
    shapes(get_model('vgg', 10, policy=ConvPolicy(mode, widths), **options))
    for mode in MODES
    for widths in ('explicit', 'same')
  ]
  assert all(tree == trees[0] for tree in trees)


def test_every_policy_computes_something_else(key):
  """All but one pair: a border of one pixel is the same mirrored and repeated."""
  options = dict(depth=11, width=1 / 16, stages=1, head='average')
  images = jax.random.normal(key, (2, 16, 16, 3))
  variables = get_model('vgg', 10, **options).init(key, images)
  logits = {
    mode: get_model('vgg', 10, policy=ConvPolicy(mode), **options).apply(
      variables, images
    )
    for mode in MODES
  }
  for one, other in itertools.combinations(MODES, 2):
    same = {one, other} == {'symmetric', 'replicate'}
    assert np.array_equal(logits[one], logits[other]) == same, (one, other)


@pytest.mark.parametrize(
  'dtype, held', [('bfloat16', 'float32'), ('float64', 'float64')]
)
def test_dtypes(float64, standard_promotion, dtype, held):
  model = get_model('vgg', 10, dtype=dtype, depth=11, width=1 / 16, batch_norm=True)
  tree = shapes(model)
  assert {str(d) for _, d in jax.tree.leaves(tree['params'], is_leaf=leaf)} == {held}
  images = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
  logits = jax.eval_shape(
    lambda x: model.init_with_output(jax.random.key(0), x)[0], images
  )
  assert logits.dtype == dtype


def test_the_start_is_torchvisions(key):
  """Kaiming, fan of the outputs, for convolutions; std 0.01 for dense layers."""
  model = get_model('vgg', 10, depth=11, head='average')
  params = jax.jit(model.init)(key, jnp.ones((1, 32, 32, 3)))['params']
  std = float(params['features_8']['kernel'].std())
  assert std == pytest.approx(np.sqrt(2 / (9 * 256)), rel=0.01)
  assert float(params['head']['kernel'].std()) == pytest.approx(0.01, rel=0.05)
  assert not params['features_8']['bias'].any()


@pytest.mark.parametrize(
  'options, message',
  [
    (dict(name='vgg', depth=12), 'no VGG-12; choose depth from 11, 13, 16, 19'),
    (dict(name='vgg', width=0.001), 'leaves the first layer without channels'),
    (dict(name='vgg', head='top'), "unknown head 'top'"),
    (dict(name='vgg', stages=6), '6 stages'),
    (dict(name='vgg', layers=3), "vgg has no 'layers'; it takes batch_norm, depth"),
    (dict(name='vgg', dtype='float16'), "unknown dtype 'float16'"),
    (dict(name='wgg'), "unknown model 'wgg'; choose from .*vgg"),
  ],
)
def test_mistakes_are_named(options, message):
  with pytest.raises(UserError, match=message):
    get_model(num_classes=10, **options)


def test_images_too_small_for_the_poolings_are_refused():
  with pytest.raises(UserError, match='features_20: its 2x2 window does not fit a 1x1'):
    shapes(get_model('vgg', 10, depth=11, width=1 / 64), size=31)
