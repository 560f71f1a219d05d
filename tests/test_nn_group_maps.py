"""BatchNorm and pooling of maps on a plane group."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from group_laws import ORDERS, TURNING, assert_equivariant, departures, transform

from symjax.nn import (
  ConvPolicy,
  GroupBatchNorm,
  GroupMaxPool,
  group_max,
  group_mean,
)
from symjax.symmetry import PLANE_GROUPS, transform_features
from symjax.symmetry.transformations import dihedral


@pytest.mark.parametrize('group', TURNING)
def test_batch_norm_is_equivariant_while_it_learns(key, group):
  x = 3 + 2 * jax.random.normal(key, (4, 5, 5, ORDERS[group], 3))
  norm = GroupBatchNorm(use_running_average=False)
  variables = norm.init(key, x)
  assert variables['params']['scale'].shape == (3,)
  variables['params']['scale'] = jnp.array([1.0, 2.0, 3.0])

  def apply(x):
    return norm.apply(variables, x, mutable=['batch_stats'])

  assert_equivariant(lambda x: apply(x)[0], x, group)
  y, after = apply(x)
  np.testing.assert_allclose(y.mean(axis=(0, 1, 2, 3)), 0, atol=1e-5)
  np.testing.assert_allclose(y.std(axis=(0, 1, 2, 3)), [1, 2, 3], atol=1e-4)
  for u in PLANE_GROUPS[group]:
    _, turned = apply(transform(x, u, group))
    for one, other in zip(*map(jax.tree.leaves, (after, turned)), strict=True):
      np.testing.assert_allclose(one, other, atol=1e-5)


def test_batch_norm_of_each_plane_for_itself_is_not_equivariant(key):
  x = jax.random.normal(key, (4, 5, 5, 8, 3)).cumsum(axis=3)
  norm = nn.BatchNorm(momentum=0.0)
  folded = x.reshape(4, 5, 5, -1)
  variables = norm.init(key, folded, use_running_average=True)
  _, stats = norm.apply(variables, folded, False, mutable=['batch_stats'])

  def apply(x):
    y = norm.apply({**variables, **stats}, x.reshape(4, 5, 5, -1), True)
    return y.reshape(x.shape)

  assert departures(apply, x, 'p4m')['r'] > 0.1


@pytest.mark.parametrize('size', [(8, 8), (7, 7), (7, 10), (1, 2)])
@pytest.mark.parametrize('policy', [ConvPolicy(), ConvPolicy(widths='same')])
def test_pooling_is_equivariant_at_every_size(key, size, policy):
  x = jax.random.normal(key, (2, *size, 8, 3))
  pool = jax.jit(lambda x: GroupMaxPool(policy).apply({}, x))
  y = pool(x)
  assert y.shape == (2, *(-(-n // 2) for n in size), 8, 3)
  for u in PLANE_GROUPS['p4m']:
    moved = pool(transform_features(x, u, 'p4m'))
    np.testing.assert_array_equal(moved, transform_features(y, u, 'p4m'))


def test_pooling_over_the_group_leaves_an_image(key):
  x = jax.random.normal(key, (2, 5, 5, 8, 3))
  for u, pool in itertools.product(PLANE_GROUPS['p4m'], (group_max, group_mean)):
    pooled = pool(transform_features(x, u, 'p4m'))
    np.testing.assert_allclose(pooled, dihedral(u)(pool(x)), atol=1e-6)
  np.testing.assert_array_equal(group_max(x)[0, 1, 2], x[0, 1, 2].max(axis=0))
