"""Inception-v3 as torchvision has it: every block against float64 numpy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_reference import (
  batch_norm,
  correlate,
  draw_variables,
  initializers,
  layer_names,
  pool,
  relu,
)

from symjax.errors import UserError
from symjax.models import get_model
from symjax.models import inception_plan as plan
from symjax.models.inception_blocks import Mixed, make_run
from symjax.nn import ConvPolicy, trace
from symjax.optim import on_sphere

XLA = ConvPolicy(algorithm='xla')
TINY = dict(width=1 / 32, policy=XLA)
IMAGES = jax.ShapeDtypeStruct((2, 299, 299, 3), jnp.float32)


class Reference:
  """The blocks of Szegedy et al., Fig. 5-7 and 10, by torchvision's names."""

  def __init__(self, variables):
    self.params, self.stats = variables['params'], variables['batch_stats']
    self.stride = 2  # Of what reduces a map.

  def unit(self, x, name, stride=1, border=True):
    kernel = self.params[name]['conv']['kernel']
    margins = [(taps - 1) // 2 if border else 0 for taps in kernel.shape[:2]]
    y = correlate(x, kernel, stride, margins)
    return relu(batch_norm(y, self.params[name]['bn'], self.stats[name]['bn'], 1e-3))

  def chain(self, x, prefix, *suffixes):
    for suffix in suffixes:
      x = self.unit(x, f'{prefix}_{suffix}')
    return x

  def pooled(self, x):
    x = pool(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), 3, 1, np.mean)
    return self.unit(x, 'branch_pool')

  def reduce(self, x, name):
    return self.unit(x, name, self.stride, border=False)

  def fork(self, x, prefix):
    return [self.unit(x, f'{prefix}{end}') for end in 'ab']

  def mixed_5b(self, x):
    return (
      self.unit(x, 'branch1x1'),
      self.chain(x, 'branch5x5', 1, 2),
      self.chain(x, 'branch3x3dbl', 1, 2, 3),
      self.pooled(x),
    )

  def mixed_6a(self, x):
    return (
      self.reduce(x, 'branch3x3'),
      self.reduce(self.chain(x, 'branch3x3dbl', 1, 2), 'branch3x3dbl_3'),
      pool(x, 3, self.stride, np.max),
    )

  def mixed_6b(self, x):
    return (
      self.unit(x, 'branch1x1'),
      self.chain(x, 'branch7x7', 1, 2, 3),
      self.chain(x, 'branch7x7dbl', 1, 2, 3, 4, 5),
      self.pooled(x),
    )

  def mixed_7a(self, x):
    return (
      self.reduce(self.unit(x, 'branch3x3_1'), 'branch3x3_2'),
      self.reduce(self.chain(x, 'branch7x7x3', 1, 2, 3), 'branch7x7x3_4'),
      pool(x, 3, self.stride, np.max),
    )

  def mixed_7b(self, x):
    return (
      self.unit(x, 'branch1x1'),
      *self.fork(self.unit(x, 'branch3x3_1'), 'branch3x3_2'),
      *self.fork(self.chain(x, 'branch3x3dbl', 1, 2), 'branch3x3dbl_3'),
      self.pooled(x),
    )


def block(name, policy=XLA):
  return Mixed(plan.BLOCKS[name], make_run(1 / 32, policy, jnp.float32, train=False))


@pytest.mark.parametrize(
  'name', ['Mixed_5b', 'Mixed_6a', 'Mixed_6b', 'Mixed_7a', 'Mixed_7b']
)
def test_blocks_equal_numpy(key, name):
  x = jax.random.normal(key, (2, 7, 6, 3))
  variables = draw_variables(block(name), x, None)
  y = jax.jit(block(name).apply)(variables, x, None)
  branches = getattr(Reference(variables), name.lower())(np.asarray(x, np.float64))
  expected = np.concatenate(branches, axis=-1)
  assert y.shape == expected.shape
  np.testing.assert_allclose(y, expected, atol=1e-5 * np.abs(expected).max())


def test_kernels_of_one_axis_are_the_ones_they_are_named_for():
  variables = draw_variables(block('Mixed_6b'), jnp.zeros((1, 7, 7, 3)), None)
  names = ['branch7x7_2', 'branch7x7_3', *(f'branch7x7dbl_{i}' for i in (2, 3, 4, 5))]
  shapes = [variables['params'][n]['conv']['kernel'].shape[:2] for n in names]
  assert shapes == [(1, 7), (7, 1), (7, 1), (1, 7), (7, 1), (1, 7)]


@pytest.mark.parametrize('downsampling', ['blur', 'aps'])
def test_branches_of_a_reduction_keep_the_same_positions(key, downsampling):
  """With one tap nothing is blurred, and all branches keep the same pixels.

  Under 'blur' those are the positions of 'stride'; under 'aps' those that the first
  branch chooses, which differ from one example to the next.
  """
  policy = ConvPolicy(downsampling=downsampling, blur_size=1, algorithm='xla')
  x = jax.random.normal(key, (4, 8, 8, 3))
  variables = draw_variables(block('Mixed_6a'), x, None)
  y = np.asarray(jax.jit(block('Mixed_6a', policy).apply)(variables, x, None))

  dense = Reference(variables)
  dense.stride = 1
  maps = np.concatenate(dense.mixed_6a(np.asarray(x, np.float64)), axis=-1)
  grids = np.stack([maps[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])
  same = np.abs(grids - y).max(axis=(2, 3, 4)) < 1e-4
  assert (same.sum(axis=0) == 1).all()
  chosen = set(same.argmax(axis=0).tolist())
  assert chosen == {0} if downsampling == 'blur' else len(chosen) > 1


def test_the_start_is_torchvisions(key):
  """Normal: 0.1, and less for the second head, whose last layers are told to be."""
  start = initializers(get_model('inception_v3', 10, **TINY), 299)
  stds = {
    name: float(kernel(key, (4096,)).std()) for name, (kernel, *_) in start.items()
  }
  told = {'AuxLogits/conv1/conv': 0.01, 'AuxLogits/fc': 0.001}
  assert len(stds) == 98
  assert stds == {name: pytest.approx(told.get(name, 0.1), rel=0.05) for name in stds}


@pytest.fixture(scope='module')
def whole():
  """The published network, and the shapes of its variables."""
  model = get_model('inception_v3', 1000)
  key = jax.eval_shape(lambda: jax.random.key(0))
  return model, jax.eval_shape(model.init, key, IMAGES)


def test_names_counts_and_what_normalisation_follows(whole):
  """Of 96 convolutions all are followed by a BatchNorm, and nothing else is."""
  model, variables = whole
  params = variables['params']
  assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 27_161_264
  assert {'Conv2d_1a_3x3', 'Mixed_5b', 'Mixed_7c', 'AuxLogits', 'fc'} <= params.keys()
  names = layer_names(variables)
  convolutions = {name for name in names if name.endswith('_conv')}
  assert len(convolutions) == 96
  assert names == convolutions | {
    f'{name.removesuffix("_conv")}_bn' for name in convolutions
  } | {'fc', 'AuxLogits_fc'}
  claimed = jax.tree_util.tree_leaves_with_path(
    on_sphere(params, model.normalized_kernels)
  )
  for path, normalized in claimed:
    assert normalized == (path[-1].key == 'kernel' and path[-2].key == 'conv')


def test_sides_of_maps_and_slack():
  """At 299 pixels no stride leaves anything over."""
  table = trace(get_model('inception_v3', 10, **TINY), (299, 299, 3))
  sides = {layer.name: layer.output_shape[0] for layer in table}
  ends = ['Conv2d_1a_3x3/conv', 'Conv2d_2b_3x3/conv', 'maxpool1', 'maxpool2',
          'Mixed_6a/max_pool', 'AuxLogits/conv1/conv', 'Mixed_7a/max_pool']  # fmt: skip
  assert [sides[name] for name in ends] == [149, 147, 73, 35, 17, 1, 8]
  strided = [layer for layer in table if layer.strided]
  assert {layer.window.slack(layer.input_shape[:2]) for layer in strided} == {(0, 0)}


@pytest.mark.parametrize('train', [True, False])
def test_the_second_head_is_for_training_alone(whole, key, train):
  model, variables = whole
  run = functools.partial(
    model.apply, train=train, mutable=['batch_stats', 'intermediates']
  )
  logits, updated = jax.eval_shape(
    lambda variables, images, key: run(variables, images, rngs={'dropout': key}),
    variables,
    IMAGES,
    key,
  )
  heads = updated.get('intermediates', {}).get('auxiliary_logits', ())
  assert logits.shape == (2, 1000)
  assert [head.shape for head in heads] == [(2, 1000)] * train


def test_images_that_are_too_small_are_refused():
  with pytest.raises(UserError, match='AuxLogits/conv1/conv: its 5x5 window does not'):
    trace(get_model('inception_v3', 10, **TINY), (298, 298, 3))


@pytest.mark.parametrize(
  'policy, message',
  [
    (ConvPolicy('valid'), "'valid' shrinks the maps that an Inception network joins"),
    (
      ConvPolicy('circular', downsampling='aps'),
      "'aps' takes poolings round 'circular' maps",
    ),
  ],
)
def test_borders_that_branches_cannot_share_are_refused(policy, message):
  with pytest.raises(UserError, match=message):
    get_model('inception_v3', 10, policy=policy)
