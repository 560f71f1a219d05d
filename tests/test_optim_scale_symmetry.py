import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optim_walks import assert_close, gaussian, walk

from symjax.optim import (
  normalize_filters,
  oblique,
  retract_update,
  scaled_metric,
  unit_norm,
)


def network(params, images, labels):
  """Cross entropy of two layers under exact batch normalisation (eps = 0)."""

  def normalized(h):
    h = h - h.mean(0, keepdims=True)
    return h / jnp.sqrt(jnp.square(h).mean(0, keepdims=True))

  h = jax.nn.relu(normalized(images @ params['first']))
  h = jax.nn.relu(normalized(h @ params['second']))
  logits = h @ params['theta']
  return optax.softmax_cross_entropy_with_integer_labels(logits, labels).sum()


SCALES = {'first': 6, 'second': 5}  # Filters of the layers that normalisation follows.


@pytest.fixture
def problem(float64):
  """Parameters [in, out], scales of the filters, and gradients of a batch."""
  params = {
    name: gaussian(shape, seed, np.float64)
    for seed, (name, shape) in enumerate(
      {'first': (8, 6), 'second': (6, 5), 'theta': (5, 3)}.items()
    )
  }
  numbers = np.random.default_rng(7)
  scales = {name: numbers.uniform(0.1, 10, (1, n)) for name, n in SCALES.items()}
  batch = gaussian((12, 8), 8, np.float64), jnp.asarray(numbers.integers(0, 3, 12))
  gradients = jax.jit(jax.grad(lambda params: network(params, *batch)))
  return params, scales, batch, lambda params, _: gradients(params)


def scaled(params, scales):
  return params | {name: params[name] * scale for name, scale in scales.items()}


def on_spheres(params):
  return {name: name in SCALES for name in params}


def labelled(sphere):
  """`sphere` for the normalised layers, plain SGD for the classifier."""
  return optax.partition({True: sphere, False: optax.sgd(0.05)}, on_spheres)


def test_the_loss_ignores_positive_scales_of_filters(problem):
  params, scales, batch, _ = problem
  loss = network(params, *batch)
  np.testing.assert_allclose(network(scaled(params, scales), *batch), loss, rtol=1e-12)
  # Negative ones change it: BN(-h) = -BN(h).
  mirrored = network(scaled(params, {'first': -1.0}), *batch)
  assert abs(mirrored - loss) > 0.1


def test_under_exact_normalisation_the_projection_has_nothing_to_do(problem):
  """w . grad = 0: what distinguishes the unit norm there is the renormalisation."""
  params, _, _, gradients = problem
  params = normalize_filters(params, mask=on_spheres)
  gradient = gradients(params, 0)
  for name in SCALES:
    radial = oblique.inner(params[name], gradient[name], 0)
    assert np.abs(radial).max() < 1e-12 < 1e-2 < np.abs(gradient[name]).max()
    projected = oblique.to_tangent(params[name], gradient[name], 0)
    np.testing.assert_allclose(projected, gradient[name], atol=1e-12)
  only_renormalise = optax.chain(optax.sgd(0.05), retract_update())
  assert_close(
    walk(labelled(only_renormalise), params, 4, gradients),
    walk(labelled(unit_norm(optax.sgd(0.05))), params, 4, gradients),
    1e-12,
  )
  assert np.abs(oblique.inner(params['theta'], gradient['theta'], 0)).max() > 1e-2


def test_unit_norm_does_not_see_scales_and_plain_sgd_does(problem):
  params, scales, _, gradients = problem
  rescaled = scaled(params, scales)
  optimizer = labelled(unit_norm(optax.sgd(0.05, 0.9)))
  paths = [
    walk(optimizer, normalize_filters(start, mask=on_spheres), 10, gradients)
    for start in (params, rescaled)
  ]
  assert_close(*paths, 1e-10)
  assert np.abs(paths[0][0]['theta'] - paths[0][-1]['theta']).max() > 1e-2
  # Plain SGD from scaled filters goes elsewhere, also up to scale.
  plain = [
    normalize_filters(walk(optax.sgd(0.05), start, 10, gradients)[-1], mask=on_spheres)
    for start in (params, rescaled)
  ]
  for name in SCALES:
    assert oblique.distance(plain[0][name], plain[1][name], 0).max() > 1e-2


def test_scaled_metric_takes_the_scaled_trajectory(problem):
  params, scales, _, gradients = problem
  optimizer = labelled(optax.chain(scaled_metric(), optax.sgd(0.02, 0.9)))
  path = walk(optimizer, params, 10, gradients)
  from_scaled = walk(optimizer, scaled(params, scales), 10, gradients)
  for ours, theirs in zip(path, from_scaled, strict=True):
    for name, value in scaled(ours, scales).items():
      np.testing.assert_allclose(theirs[name], value, rtol=1e-9)
  assert oblique.distance(*(normalize_filters(p, mask=on_spheres)['first']
                            for p in (params, path[-1])), 0).max() > 1e-2  # fmt: skip


def test_scaled_metric_multiplies_by_the_squared_norm():
  params = {'kernel': jnp.array([[3.0, 1.0], [4.0, 0.0]])}
  ones = jax.tree.map(jnp.ones_like, params)
  updates, _ = scaled_metric().update(ones, scaled_metric().init(params), params)
  np.testing.assert_allclose(updates['kernel'], [[25, 1], [25, 1]])
