"""Group convolutions: they commute with the group, and are the sums that define it."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from group_laws import ORDERS, assert_equivariant, departures, random_bias

from symjax.errors import UserError
from symjax.nn import (
  MODES,
  Conv,
  ConvPolicy,
  GroupBatchNorm,
  GroupConv,
  GroupMaxPool,
  LiftingConv,
  trace,
)
from symjax.symmetry import PLANE_GROUPS, transform_features
from symjax.symmetry.transformations import dihedral


class Stack(nn.Module):
  """Three convolutions, with a stride, BatchNorm and pooling between them."""

  group: str
  policy: ConvPolicy = ConvPolicy()

  @nn.compact
  def __call__(self, x):
    x = LiftingConv(3, self.group, 5, policy=self.policy, name='lift')(x)
    x = nn.relu(x)
    x = GroupConv(4, self.group, stride=2, policy=self.policy, name='strided')(x)
    x = nn.relu(GroupBatchNorm(use_running_average=False)(x))
    x = GroupMaxPool(self.policy, name='pool')(x)
    return GroupConv(2, self.group, policy=self.policy, name='last')(x)


@functools.cache
def stack_variables(group):
  """They do not depend on the policy or on the size."""
  return jax.jit(Stack(group).init)(jax.random.key(1), jnp.zeros((1, 9, 9, 2)))


POLICIES = [*map(ConvPolicy, MODES), ConvPolicy(widths='same')]


@pytest.mark.parametrize(
  'group, policy', [('p4', ConvPolicy()), *(('p4m', policy) for policy in POLICIES)]
)
def test_a_composition_of_layers_is_equivariant(key, group, policy):
  x = jax.random.normal(key, (2, 21, 21, 2))
  stack, variables = Stack(group, policy), stack_variables(group)
  assert_equivariant(
    lambda x: stack.apply(variables, x, mutable=['batch_stats'])[0], x, group
  )


def test_a_composition_of_layers_is_equivariant_on_rectangles(key):
  x = jax.random.normal(key, (2, 13, 21, 2))
  stack, variables = Stack('p4m'), stack_variables('p4m')

  @jax.jit
  def apply(x):
    return stack.apply(variables, x, mutable=['batch_stats'])[0]

  y = apply(x)
  for u in PLANE_GROUPS['p4m']:
    turned = apply(dihedral(u)(x))
    np.testing.assert_allclose(turned, transform_features(y, u, 'p4m'), atol=1e-5)


@pytest.mark.parametrize('layer_type', [LiftingConv, GroupConv])
@pytest.mark.parametrize(
  'group, size, k, stride',
  [
    ('p4', 9, 3, 2),
    ('p4m', 8, 3, 1),
    ('p4m', 9, 3, 2),
    ('p4m', 7, 5, 3),
    ('p4m', 5, 1, 2),
  ],
)
def test_convolutions_are_equivariant(key, layer_type, group, size, k, stride):
  planes = (ORDERS[group],) if layer_type is GroupConv else ()
  x = jax.random.normal(key, (2, size, size, *planes, 2))
  layer = layer_type(3, group, k, stride)
  variables = random_bias(jax.jit(layer.init)(key, x), key)
  assert_equivariant(lambda x: layer.apply(variables, x), x, group)


def test_equivariance_is_exact_but_for_rounding(key, float64):
  x = jax.random.normal(key, (2, 9, 9, 8, 2), jnp.float64)
  layer = GroupConv(3, stride=2, param_dtype=jnp.float64)
  variables = random_bias(jax.jit(layer.init)(key, x), key)
  y = layer.apply(variables, x)
  assert y.dtype == jnp.float64
  assert_equivariant(lambda x: layer.apply(variables, x), x, 'p4m', 1e-13)


def test_a_plain_convolution_is_not_equivariant(key):
  x = jax.random.normal(key, (2, 8, 8, 2))
  layer = Conv(3)
  variables = layer.init(key, x)
  errors = departures(lambda x: layer.apply(variables, x), x, 'p4m')
  assert errors.pop('e') == 0
  assert min(errors.values()) > 0.1


def test_permuting_orientations_is_part_of_the_law(key):
  """The plane alone is not the action: orientations must change places too."""
  x = jax.random.normal(key, (1, 7, 7, 2))
  y, _ = LiftingConv(3).init_with_output(key, x)
  turned, _ = LiftingConv(3).init_with_output(key, dihedral('r')(x))
  assert np.abs(turned - dihedral('r')(y)).max() > 0.1


def test_a_stride_on_a_forbidden_size_would_break_the_law(key):
  """What the refusal prevents: the exported convolution does run there."""
  x = jax.random.normal(key, (1, 9, 9, 2))
  layer = LiftingConv(3, stride=2)
  conv, variables = layer.export(layer.init(key, x))

  def apply(x):
    y = conv.apply(variables, x)
    return y.reshape(*y.shape[:3], 8, 3)

  assert_equivariant(apply, x, 'p4m')
  errors = departures(apply, x[:, :8, :8], 'p4m')
  assert max(errors.values()) > 0.1


def brute_force(x, kernel, bias, group):
  """Cohen & Welling, Eq. 10 and 11, over the elements g = (t, m) of the group.

  Where psi is a filter about the origin, and x is 0 outside of its map:
  y(t, m) = sum over planes m' and pixels p of x(p, m') psi(m^-1 (p - t), m^-1 m').
  """
  matrices = [
    np.linalg.matrix_power([[1, 0], [0, -1]], mirrored)
    @ np.linalg.matrix_power([[0, 1], [-1, 0]], turns)
    for mirrored, turns in itertools.product(range(2), range(4))
  ][: ORDERS[group]]
  lifting = x.ndim == 4
  margin, features = kernel.shape[0] // 2, kernel.shape[-1]
  y = np.zeros((*x.shape[:3], len(matrices), features))
  for batch, down, across, m, feature in np.ndindex(y.shape):
    total = bias[feature]
    for pixel in np.ndindex(x.shape[1:3]):
      tap = matrices[m].T @ (np.array(pixel) - (down, across)) + margin
      if min(tap) < 0 or max(tap) > 2 * margin:
        continue
      psi = kernel[tap[0], tap[1], ..., feature]
      if lifting:
        total += x[batch, *pixel] @ psi
        continue
      psi = psi.reshape(len(matrices), -1)
      for other, matrix in enumerate(matrices):
        relative = matrices[m].T @ matrix
        (plane,) = (i for i, n in enumerate(matrices) if (n == relative).all())
        total += x[batch, *pixel, other] @ psi[plane]
    y[batch, down, across, m, feature] = total
  return y


@pytest.mark.parametrize('group', PLANE_GROUPS)
@pytest.mark.parametrize('layer_type', [LiftingConv, GroupConv])
def test_layers_are_the_sums_of_the_definition(float64, key, group, layer_type):
  planes = (ORDERS[group],) if layer_type is GroupConv else ()
  x = jax.random.normal(key, (1, 4, 3, *planes, 2), jnp.float64)
  layer = layer_type(2, group, param_dtype=jnp.float64)
  variables = random_bias(layer.init(key, x), key)
  shared = jax.tree.map(np.asarray, variables['params'])
  expected = brute_force(np.asarray(x), shared['kernel'], shared['bias'], group)
  np.testing.assert_allclose(layer.apply(variables, x), expected, atol=1e-12)


def test_gradients_are_shared_over_the_group(key):
  """A filter's gradient sums over its transforms: that of a turned task is the same."""
  x = jax.random.normal(key, (2, 7, 7, 8, 2))
  target = jax.random.normal(jax.random.key(1), (2, 7, 7, 8, 3))
  layer = GroupConv(3)
  variables = layer.init(key, x)

  @jax.jit
  def gradient(x, target):
    return jax.grad(lambda v: ((layer.apply(v, x) - target) ** 2).mean())(variables)

  expected = jax.tree.leaves(gradient(x, target))
  for u in PLANE_GROUPS['p4m']:
    turned = gradient(*(transform_features(a, u, 'p4m') for a in (x, target)))
    for one, other in zip(jax.tree.leaves(turned), expected, strict=True):
      np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_layer_table_lists_the_plain_convolutions_by_the_layers_names():
  table = trace(Stack('p4m'), (25, 25, 2))
  assert [layer.name for layer in table] == ['lift', 'strided', 'pool', 'last']
  assert [layer.kind for layer in table] == ['conv', 'conv', 'max_pool', 'conv']
  assert [layer.output_shape for layer in table] == [
    (25, 25, 24), (13, 13, 32), (7, 7, 32), (7, 7, 16),
  ]  # fmt: skip
  assert table[1].window.stride == (2, 2)
  assert [layer.name for layer in trace(LiftingConv(3), (8, 8, 1))] == ['']


def test_whoever_watches_the_calls_sees_nothing_but_layers():
  """A plain convolution inside would count as a layer that breaks the symmetry."""
  names = []

  def record(run, args, kwargs, context):
    if context.method_name == '__call__':
      names.append('/'.join(context.module.path))
    return run(*args, **kwargs)

  with nn.intercept_methods(record):
    jax.eval_shape(Stack('p4m').init, jax.random.key(0), jnp.zeros((1, 9, 9, 2)))
  layers = {'lift', 'strided', 'GroupBatchNorm_0', 'pool', 'pool/downsample', 'last'}
  assert set(names) == {'', *layers}
  assert names.count('') == 1


def strided(**options):
  return Stack('p4m', ConvPolicy(**options))


@pytest.mark.parametrize(
  'model, shape, message',
  [
    (
      strided(),
      (1, 28, 29, 1),
      r'layer strided: 3 taps at stride 2 do not treat both ends of 28 pixels alike, '
      r'which breaks p4m on a 28x29 map; use a side of 27 or 29 here',
    ),
    (strided(widths='same'), (1, 28, 28, 1), 'use a side of 27 or 29 here'),
    (strided(padding='valid'), (1, 28, 28, 1), '24 pixels .* use a side of 23 or 25'),
    (GroupConv(3, stride=3), (1, 9, 9, 8, 1), 'GroupConv: .* use a side of 7 or 10'),
    (GroupConv(3, 'p4'), (1, 5, 5, 8, 1), r'p4 takes .* 4, channels\]; .* 8, 1\)'),
    (GroupConv(3), (1, 5, 5, 4, 1), r'p4m takes .* 8, channels\]; .* 4, 1\)'),
    (GroupConv(3), (1, 5, 5, 8), r'8, channels\]; .*\(1, 5, 5, 8\): lift images'),
    (LiftingConv(3), (1, 5, 5, 8, 1), 'lifts images .* shape .*8, 1'),
    (GroupMaxPool(), (1, 5, 5, 8), 'a map on a group is .* shape'),
    (GroupBatchNorm(use_running_average=True), (1, 5, 5, 8), 'a map on a group is'),
    (
      GroupConv(3, policy=ConvPolicy('valid')),
      (1, 2, 5, 8, 1),
      'layer GroupConv: its 3x3 window does not fit a 2x5 map',
    ),
    (
      GroupMaxPool(ConvPolicy('valid')),
      (1, 1, 4, 8, 1),
      'layer GroupMaxPool: its 3x2 window does not fit a 1x4 map',
    ),
  ],
)
def test_maps_that_would_break_the_symmetry_are_refused(key, model, shape, message):
  with pytest.raises(UserError, match=message):
    model.init(key, jnp.zeros(shape))


@pytest.mark.parametrize('layer_type', [LiftingConv, GroupConv])
@pytest.mark.parametrize(
  'options, message',
  [
    (dict(kernel_size=4), 'a kernel of 4 taps has no middle one .* use 3 or 5'),
    (dict(kernel_size=0), 'a kernel of 0 taps .* use 1'),
    (dict(group='p6'), "unknown group 'p6'; choose from p1, p4, p4m"),
  ],
)
def test_mistakes_are_named(layer_type, options, message):
  with pytest.raises(UserError, match=message):
    layer_type(3, **options)
