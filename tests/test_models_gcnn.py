"""GCNN: turns and mirrors do not change its logits, at any size, trained or not."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from symjax import symmetry
from symjax.errors import UserError
from symjax.models import get_model
from symjax.models.gcnn import export
from symjax.nn import MODES, ConvPolicy, downsampling_marks, smallest_image, trace
from symjax.symmetry import PLANE_GROUPS
from symjax.symmetry.transformations import dihedral

TURNING = ('p4', 'p4m')
SMALL = dict(channels=2, depth=5)


def images(key, size=28, channels=1):
  return jax.random.uniform(key, (2, size, size, channels))


def changes(model, variables, x, group):
  """max |logits(u x) - logits(x)| for every u, over the spread of the logits."""
  moved = jnp.stack([dihedral(u)(x) for u in PLANE_GROUPS[group]])
  logits = jax.jit(lambda x: jax.lax.map(lambda x: model.apply(variables, x), x))(moved)
  return np.abs(logits - logits[:1]).max(axis=(1, 2)) / np.std(logits)


def train(model, variables, x, labels, steps):
  """A few steps of gradient descent on one batch."""
  optimizer = optax.sgd(0.1, 0.9)

  @jax.jit
  def step(variables, state):
    def loss(params):
      logits, updated = model.apply(
        {**variables, 'params': params}, x, train=True, mutable=['batch_stats']
      )
      losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
      return losses.mean(), updated

    gradients, updated = jax.grad(loss, has_aux=True)(variables['params'])
    updates, state = optimizer.update(gradients, state)
    params = optax.apply_updates(variables['params'], updates)
    return {**updated, 'params': params}, state

  state = optimizer.init(variables['params'])
  for _ in range(steps):
    variables, state = step(variables, state)
  return variables


@functools.cache
def trained(group):
  """A network, its variables before and after training, and its training images."""
  model = get_model('gcnn', 10, group=group, **SMALL)
  x = jax.random.uniform(jax.random.key(1), (8, 28, 28, 1))
  start = jax.jit(model.init)(jax.random.key(0), x)
  end = train(model, start, x, jnp.arange(8), steps=5)
  return model, start, end, x


@pytest.mark.parametrize('group', TURNING)
def test_logits_are_invariant_before_and_after_training(group):
  model, start, end, x = trained(group)
  for one, other in zip(*map(jax.tree.leaves, (start, end)), strict=True):
    assert np.abs(one - other).max() > 0
  for variables in (start, end):
    assert changes(model, variables, x, group).max() < 1e-5


@pytest.mark.parametrize('size', [14, 29, 32, 33])
def test_logits_are_invariant_at_every_size(key, size):
  model, _, end, _ = trained('p4m')
  assert changes(model, end, images(key, size), 'p4m').max() < 1e-5


@pytest.mark.parametrize('mode', MODES)
def test_logits_are_invariant_under_every_border(mode):
  model, _, end, x = trained('p4m')
  model = model.clone(policy=ConvPolicy(mode))
  assert changes(model, end, x, 'p4m').max() < 1e-5


def test_a_plain_network_of_the_same_plan_is_not_invariant(key):
  model, x = get_model('gcnn', 10, group='p1', channels=16, depth=5), images(key)
  variables = jax.jit(model.init)(key, x)
  assert changes(model, variables, x, 'p4m')[1:].min() > 0.01


@pytest.mark.parametrize('group', TURNING)
def test_quarter_turns_do_not_bring_mirrors(group):
  model, _, end, x = trained(group)
  mirrored = dict(zip(PLANE_GROUPS['p4m'], changes(model, end, x, 'p4m'), strict=True))
  assert mirrored['r'] < 1e-5
  assert (mirrored['s'] > 1e-3) == (model.group == 'p4')


@pytest.mark.parametrize('group', TURNING)
def test_export_gives_a_plain_network_with_the_same_outputs(group):
  model, _, end, x = trained(group)
  plain, variables = export(model, end)
  assert plain.group == 'p1'
  shapes = jax.tree.map(jnp.shape, jax.eval_shape(plain.init, jax.random.key(0), x))
  assert jax.tree.map(jnp.shape, variables) == shapes
  expected = model.apply(end, x)
  assert np.abs(expected).max() > 0.1
  np.testing.assert_allclose(plain.apply(variables, x), expected, atol=1e-5)


class Linen(nn.Module):
  """What an exported network is, in linen's own layers."""

  depth: int
  planes: int

  @nn.compact
  def __call__(self, x):
    for index in range(self.depth):
      if index and index % 2 == 0:
        odd = x.shape[1] % 2
        x = nn.max_pool(x, (2 + odd,) * 2, (2, 2), ((odd, odd),) * 2)
      conv = nn.Conv(self.planes, (3, 3), padding=1, use_bias=False)
      x = conv.copy(name=f'conv_{index}')(x)
      x = nn.relu(nn.BatchNorm(use_running_average=True, name=f'norm_{index}')(x))
    return nn.Dense(10, name='head')(x.mean(axis=(1, 2)))


@pytest.mark.parametrize('group', TURNING)
def test_linen_runs_an_exported_network(group):
  model, _, end, x = trained(group)
  plain, variables = export(model, end)
  logits = Linen(plain.depth, plain.channels).apply(variables, x)
  np.testing.assert_allclose(logits, model.apply(end, x), atol=1e-5)


@pytest.mark.parametrize('group', TURNING)
def test_exported_kernels_have_symmetric_means(group):
  """What document A measures: 1 where all of D4 is built in."""
  model, _, end, _ = trained(group)
  _, variables = export(model, end)
  for shared, plain in zip(
    symmetry.profile(end['params']).layers,
    symmetry.profile(variables['params']).layers,
    strict=True,
  ):
    assert plain.score > shared.score
    for element in PLANE_GROUPS[model.group][1:]:
      assert plain.distances[element] < 1e-5


@pytest.mark.parametrize('group, order', [('p4', 4), ('p4m', 8)])
def test_a_plain_network_with_as_many_planes_has_that_many_times_the_parameters(
  key, group, order
):
  def count(**options):
    model = get_model('gcnn', 10, depth=5, **options)
    params = jax.eval_shape(model.init, key, images(key))['params']
    # The bias of the logits is the one parameter that no orientation shares.
    return sum(leaf.size for leaf in jax.tree.leaves(params)) - 10

  assert count(group='p1', channels=3 * order) == order * count(group=group, channels=3)


def test_the_layer_table(key):
  table = trace(get_model('gcnn', 10, channels=2, depth=5), (28, 28, 3))
  assert [layer.name for layer in table] == [
    'conv_0', 'conv_1', 'pool_2', 'conv_2', 'conv_3', 'pool_4', 'conv_4',
  ]  # fmt: skip
  assert [layer.output_shape[0] for layer in table] == [28, 28, 14, 14, 14, 7, 7]
  assert downsampling_marks(table) == {'conv_2': 'near', 'conv_4': 'near'}


def test_the_smallest_image_without_a_border(key):
  model = get_model('gcnn', 10, policy=ConvPolicy('valid'), **SMALL)
  side = smallest_image(model, 1)
  assert trace(model, (side, side, 1))[-1].output_shape[:2] == (1, 1)


@pytest.mark.parametrize(
  'dtype, held', [('bfloat16', 'float32'), ('float64', 'float64')]
)
def test_dtypes(float64, standard_promotion, dtype, held):
  model = get_model('gcnn', 10, dtype=dtype, **SMALL)
  logits, variables = jax.eval_shape(
    model.init_with_output, jax.random.key(0), images(jax.random.key(1))
  )
  assert logits.dtype == dtype
  assert {str(leaf.dtype) for leaf in jax.tree.leaves(variables['params'])} == {held}


def test_invariance_is_exact_but_for_rounding(float64, standard_promotion, key):
  model = get_model('gcnn', 10, dtype='float64', **SMALL)
  x = images(key, 9).astype(jnp.float64)
  variables = jax.jit(model.init)(key, x)
  assert changes(model, variables, x, 'p4m').max() < 1e-12


@pytest.mark.parametrize(
  'options, message',
  [
    (dict(depth=0), 'a GCNN of depth 0; it has 1 convolution or more'),
    (dict(channels=0), '0 channels; a GCNN has 1 or more'),
    (dict(group='p6m'), "unknown group 'p6m'; choose from p1, p4, p4m"),
    (dict(width=2), "gcnn has no 'width'; it takes channels, depth, group"),
  ],
)
def test_mistakes_are_named(options, message):
  with pytest.raises(UserError, match=message):
    get_model('gcnn', 10, **options)
