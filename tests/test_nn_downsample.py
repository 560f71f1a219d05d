"""What every downsampling has in common, in whole networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjax.errors import UserError
from symjax.models import get_model
from symjax.nn import ConvPolicy, Downsample, GroupMaxPool, Window, total_stride, trace
from symjax.nn.policy import DOWNSAMPLINGS

TINY = {
  'vgg': dict(depth=11, stages=2, width=1 / 32, head='average'),
  'connected': dict(features=(2, 3)),
}


def models(name):
  return {
    choice: get_model(
      name, 3, ConvPolicy(downsampling=choice, algorithm='xla'), **TINY[name]
    )
    for choice in DOWNSAMPLINGS
  }


@pytest.mark.parametrize('name', TINY)
def test_the_parameter_tree_is_the_same_under_every_downsampling(key, name):
  images = jax.ShapeDtypeStruct((2, 16, 16, 3), jnp.float32)
  trees = [
    jax.tree.map(jnp.shape, jax.eval_shape(model.init, key, images))
    for model in models(name).values()
  ]
  assert all(tree == trees[0] for tree in trees)


def test_weights_trained_under_one_compute_something_else_under_another(key):
  """On 10x10 maps; balanced pooling only departs from stride in training."""
  images = jax.random.normal(key, (2, 10, 10, 3))

  @jax.jit
  def run(key, images):
    networks = models('connected')
    variables = networks['stride'].init(key, images)
    return {k: model.apply(variables, images) for k, model in networks.items()}

  logits = jax.tree.map(np.asarray, run(key, images))
  np.testing.assert_array_equal(logits['balanced'], logits['stride'])
  rest = [logits[choice] for choice in ('stride', 'blur', 'aps')]
  assert len({value.tobytes() for value in rest}) == 3


@pytest.mark.parametrize('name', TINY)
@pytest.mark.parametrize('size', [16, 12])
def test_maps_have_the_same_sizes(name, size):
  """So that the same weights serve, also those of a dense layer behind them."""
  for model in models(name).values():
    table = trace(model, (size, size, 3), train=False)
    assert table[-1].output_shape[:2] == (size // 4, size // 4)
    assert total_stride(table) == (4, 4)


def test_traces_list_what_really_happens():
  table = trace(models('vgg')['blur'], (16, 16, 3), train=False)
  rows = [(row.name, row.kind, row.window, row.output_shape) for row in table[1:3]]
  border = ((1, 2), (1, 2))
  assert rows == [
    ('features_2', 'max_pool', Window((2, 2)), (15, 15, 2)),
    ('features_2/downsample', 'blur_pool', Window((4, 4), (2, 2), border), (8, 8, 2)),
  ]
  kinds = [row.kind for row in trace(models('connected')['aps'], (16, 16, 3))]
  assert kinds == ['conv', 'aps', 'conv', 'aps']
  assert not [
    row
    for row in trace(models('connected')['balanced'], (16, 16, 3))
    if row.kind != 'conv'
  ]


@pytest.mark.parametrize('size', [8, 9])
@pytest.mark.parametrize('padding', ['zero', 'valid'])
def test_odd_blurs_keep_group_poolings_equivariant(size, padding):
  x = np.random.default_rng(0).standard_normal((1, size, size, 4, 2), np.float32)
  layer = GroupMaxPool(ConvPolicy(padding, downsampling='blur', blur_size=3))
  pool = jax.jit(layer.apply)
  y, turned = pool({}, x), pool({}, np.rot90(x, axes=(1, 2)))
  np.testing.assert_allclose(turned, np.rot90(y, axes=(1, 2)), atol=1e-6)
  assert y.shape[1] == (3 if padding == 'valid' else (size + 1) // 2)


@pytest.mark.parametrize(
  'mistake, message',
  [
    (
      dict(downsampling='blurr'),
      "unknown downsampling 'blurr'; choose from stride, bl",
    ),
    (dict(blur_size=8), 'blur_size=8; choose from 1 .no blur. to 7 taps'),
    (dict(blur_size=0), 'blur_size=0'),
    (dict(balanced_evaluation='mean'), "unknown balanced_evaluation 'mean'; choose fr"),
  ],
)
def test_unknown_choices_name_the_known(mistake, message):
  with pytest.raises(UserError, match=message):
    ConvPolicy(**mistake)


@pytest.mark.parametrize(
  'name, options, policy, message',
  [
    ('gcnn', {}, dict(downsampling='aps'), "'aps' is not equivariant to turns"),
    ('gcnn', {}, dict(downsampling='blur'), 'a blur of 4 taps .* use blur_size=3'),
    ('archbn', {}, dict(downsampling='blur'), 'archbn has no convolution'),
    (
      'connected',
      dict(connection='local'),
      dict(downsampling='balanced'),
      'locally co',
    ),
    ('connected', dict(connection='full'), dict(downsampling='aps'), 'fully connected'),
  ],
)
def test_networks_refuse_what_they_cannot_honour(name, options, policy, message):
  with pytest.raises(UserError, match=message):
    get_model(name, 3, ConvPolicy(**policy), **options)


def test_a_block_without_strides_is_left_alone(key):
  x = jax.random.normal(key, (1, 4, 4, 1))
  for choice in DOWNSAMPLINGS:
    layer = Downsample((1, 1), ConvPolicy(downsampling=choice))
    assert layer.apply({}, x) is x
