"""What the tests of the optimisers on spheres share."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from symjax.optim import normalize_filters, riemannian_sgd, unit_norm

SPHERICAL = {
  'ambient momentum': unit_norm(optax.sgd(0.1, 0.9)),
  'transported momentum': riemannian_sgd(0.1, 0.9),
  'no momentum': riemannian_sgd(0.1),
}


def gaussian(shape, seed, dtype=np.float32):
  return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def kernels(dtype=np.float32, seed=0):
  """Points on spheres: a convolution and a dense kernel."""
  return normalize_filters(
    {
      'conv': {'kernel': gaussian((3, 3, 4, 8), seed, dtype)},
      'dense': {'kernel': gaussian((20, 6), seed + 1, dtype)},
    }
  )


def gradients_like(params, step):
  """Gaussian gradients that depend on the step and a parameter's size alone."""
  return jax.tree.map(
    lambda leaf: gaussian(leaf.shape, 1000 * step + leaf.size, leaf.dtype), params
  )


def walk(optimizer, params, steps, gradients=gradients_like):
  """The parameters after each step."""
  state, path = optimizer.init(params), []

  @jax.jit
  def move(params, state, gradients):
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state

  for step in range(steps):
    params, state = move(params, state, gradients(params, step + 1))
    path.append(params)
  return path


def assert_close(found, expected, atol):
  for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(a, b, atol=atol, rtol=0)
