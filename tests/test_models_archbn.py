import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjax.errors import UserError
from symjax.models import get_model
from symjax.nn import ConvPolicy


def initialise(key, **options):
  model = get_model('archbn', 10, **options)
  images = jax.random.uniform(key, (20, 28, 28, 1))
  return model, model.init(key, images), images


@pytest.mark.parametrize('depth', [1, 2, 4])
def test_sizes_are_the_papers(key, depth):
  """784 -> 64, pooled to 32 -> 64, ...; theta is 10 x 32, and nothing has a bias."""
  _, variables, _ = initialise(key, depth=depth)
  shapes = jax.tree.map(jnp.shape, variables['params'])
  assert shapes.pop('theta') == {'kernel': (32, 10)}
  for layer in range(depth):
    inputs = 32 if layer else 784
    assert shapes.pop(f'filters_{layer}') == {'kernel': (inputs, 64)}
    assert shapes.pop(f'norm_{layer}') == {'scale': (64,), 'bias': (64,)}
  assert not shapes


def test_every_filter_and_class_vector_begins_with_norm_one(key):
  _, variables, _ = initialise(key, depth=4)
  for layer in variables['params'].values():
    if 'kernel' in layer:
      norms = np.linalg.norm(np.asarray(layer['kernel'], np.float64), axis=0)
      np.testing.assert_allclose(norms, 1, atol=1e-6)


def test_the_forward_pass_is_fig_1(key, float64, standard_promotion):
  """Against float64 numpy: product, normalisation, ReLU, max of neighbours, theta."""
  model, variables, images = initialise(key, depth=2, dtype='float64')
  logits, updated = model.apply(variables, images, train=True, mutable=['batch_stats'])
  x = np.asarray(images, np.float64).reshape(20, 784)
  for layer in range(2):
    h = x @ np.asarray(variables['params'][f'filters_{layer}']['kernel'])
    np.testing.assert_allclose(
      updated['batch_stats'][f'norm_{layer}']['mean'], 0.1 * h.mean(0), rtol=1e-5
    )
    b = (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5)
    x = np.maximum(b, 0).reshape(20, 32, 2).max(-1)
  expected = x @ np.asarray(variables['params']['theta']['kernel'])
  np.testing.assert_allclose(logits, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
  'options, complaint',
  [
    (dict(depth=0), 'an ArchBN of depth 0; it has 1 layer or more'),
    (dict(features=63), '63 features; ArchBN pools them in twos'),
    (dict(policy=ConvPolicy('reflect')), 'archbn has no convolution'),
    (dict(width=2), "archbn has no 'width'; it takes depth, features"),
  ],
)
def test_what_makes_no_archbn_is_named(options, complaint):
  with pytest.raises(UserError, match=complaint):
    get_model('archbn', 10, **options)


def test_any_algorithm_of_convolutions_will_do():
  """It changes no network, and programs choose it for all alike."""
  policy = ConvPolicy(algorithm='xla')
  assert get_model('archbn', 10, policy=policy).policy == policy
