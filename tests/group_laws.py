"""The law of group layers, apply(u x) = u apply(x), as a measurement."""

import jax
import jax.numpy as jnp
import numpy as np

from symjax.symmetry import PLANE_GROUPS, transform_features
from symjax.symmetry.transformations import dihedral

ORDERS = {group: len(elements) for group, elements in PLANE_GROUPS.items()}
TURNING = ('p4', 'p4m')


def transform(x, element, group):
  """The action on an image or on a map on the group."""
  if x.ndim == 5:
    return transform_features(x, element, group)
  return dihedral(element)(x)


def departures(apply, x, group):
  """max |apply(u x) - u apply(x)| for every u, over the largest output; x is square."""

  def images(x):
    return jnp.stack([transform(x, u, group) for u in PLANE_GROUPS[group]])

  @jax.jit
  def measure(x):
    y = jax.lax.map(apply, images(x))
    errors = jnp.abs(y - images(y[0]))
    return errors.max(axis=range(1, errors.ndim)) / jnp.abs(y).max()

  return dict(zip(PLANE_GROUPS[group], np.asarray(measure(x)), strict=True))


def assert_equivariant(apply, x, group, tolerance=1e-5):
  assert max(departures(apply, x, group).values()) < tolerance


def random_bias(variables, key):
  """The variables with biases, which are zero at the start."""
  bias = variables['params']['bias']
  drawn = jax.random.normal(key, bias.shape, bias.dtype)
  return {'params': {**variables['params'], 'bias': drawn}}
