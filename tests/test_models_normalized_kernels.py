"""Each model says which kernels normalisation follows; here the networks answer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_reference import draw_variables

from symjax.models import MODELS, get_model
from symjax.optim import normalize_filters, on_sphere

OPTIONS = {
  'alexnet': dict(width=1 / 64),  # Nor does it normalise anything.
  'archbn': dict(depth=3, features=8),
  'cifar_resnet': dict(width=1 / 8),
  'connected': {},  # It normalises nothing.
  # The second head has no part in the logits.
  'fcn': dict(depth=18, width=1 / 32, auxiliary=False),
  'gcnn': dict(channels=2, depth=3),
  'resnet': dict(depth=18, width=1 / 32, stem='cifar'),
  'segnet': dict(width=1 / 16),
  'vgg': dict(depth=11, batch_norm=True, width=1 / 16, stages=3, head='average'),
}


def test_every_network_answers():
  """Inception's has too many layers to be tried; its own test reads its tree."""
  assert OPTIONS.keys() | {'inception_v3'} == MODELS.keys()


@pytest.mark.parametrize('name', OPTIONS)
def test_a_kernel_is_normalised_if_and_only_if_its_scale_does_not_matter(name, key):
  """Of training logits, up to BatchNorm's epsilon; every kernel is tried."""
  model = get_model(name, 10, **OPTIONS[name])
  side = 63 if name == 'alexnet' else 16
  images = jax.random.uniform(key, (16, side, side, 3))
  variables = draw_variables(model, images)

  @jax.jit
  def logits(params):
    scaled = {**variables, 'params': params}
    return model.apply(
      scaled, images, train=True, mutable=['batch_stats'], rngs={'dropout': key}
    )[0]

  params = variables['params']
  claimed = on_sphere(params, model.normalized_kernels)
  before = logits(params)
  normalised = [
    path for path, yes in jax.tree_util.tree_leaves_with_path(claimed) if yes
  ]
  assert bool(normalised) == (name not in ('alexnet', 'connected'))
  for path, _ in jax.tree_util.tree_leaves_with_path(params):
    if path[-1].key != 'kernel':
      assert path not in normalised
      continue
    scaled = jax.tree_util.tree_map_with_path(
      lambda other, leaf, path=path: 3 * leaf if other == path else leaf, params
    )
    change = np.abs(logits(scaled) - before).max() / np.abs(before).max()
    assert (change < 0.02) == (path in normalised), (path, change)


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
