"""Each model says which kernels normalisation follows; here the networks answer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjax.models import MODELS, get_model
from symjax.optim import normalize_filters, on_sphere

OPTIONS = {
  'archbn': dict(depth=3, features=8),
  'connected': {},  # It normalises nothing.
  'gcnn': dict(channels=2, depth=3),
  'vgg': dict(depth=11, batch_norm=True, width=1 / 16, stages=3, head='average'),
}


@pytest.mark.parametrize('name', MODELS)
def test_a_kernel_is_normalised_if_and_only_if_its_scale_does_not_matter(name, key):
  """Of training logits, up to BatchNorm's epsilon; every kernel is tried."""
  model = get_model(name, 10, **OPTIONS[name])
  images = jax.random.uniform(key, (16, 16, 16, 3))
  variables = model.init(key, images)

  @jax.jit
  def logits(params):
    scaled = {**variables, 'params': params}
    return model.apply(scaled, images, train=True, mutable=['batch_stats'])[0]

  params = variables['params']
  claimed = on_sphere(params, model.normalized_kernels)
  before = logits(params)
  assert any(jax.tree.leaves(claimed)) == (name != 'connected')
  for layer in params:
    if 'kernel' in params[layer]:
      scaled = {**params[layer], 'kernel': 3 * params[layer]['kernel']}
      change = np.abs(logits({**params, layer: scaled}) - before).max()
      relative = change / np.abs(before).max()
      assert (relative < 0.02) == claimed[layer]['kernel'], (layer, relative)
    else:
      assert not any(jax.tree.leaves(claimed[layer]))


def test_what_begins_on_the_sphere_in_archbn():
  model = get_model('archbn', 10, depth=4)
  params = model.init(jax.random.key(1), jnp.zeros((2, 28, 28, 1)))['params']
  kernels = {name: layer for name, layer in params.items() if 'kernel' in layer}
  assert list(kernels) == [*(f'filters_{i}' for i in range(4)), 'theta']
  already = normalize_filters(kernels)
  for new, old in zip(jax.tree.leaves(already), jax.tree.leaves(kernels), strict=True):
    np.testing.assert_allclose(new, old, atol=1e-6)


def test_networks_without_normalisation_claim_no_kernel():
  assert get_model('vgg', 10, batch_norm=False).normalized_kernels == ()
