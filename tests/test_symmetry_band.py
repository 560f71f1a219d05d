"""The random band: the published numbers, and where theory is exact."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjax import symmetry
from symjax.errors import UserError


def gaussian(*shape):
  """In float64, which JAX narrows unless the test runs in `float64`."""
  return np.random.default_rng(0).standard_normal(shape)


def mean_distance(permutation):
  """E ||TK^ - K^|| over iid Gaussian K, for an involution T.

  T swaps m pairs of n taps, so it is -1 on m dimensions and 1 on the others. The
  share of |K|^2 in the former is Beta(m/2, (n-m)/2), and d = 2 sqrt(share).
  """
  n = len(permutation)
  np.testing.assert_array_equal(permutation[permutation], np.arange(n))
  m = (permutation != np.arange(n)).sum() / 2
  a, b = m / 2, (n - m) / 2
  log = math.lgamma(a + 0.5) + math.lgamma(a + b)
  return 2 * math.exp(log - math.lgamma(a) - math.lgamma(a + b + 0.5))


@pytest.mark.parametrize(
  'size, mean, std',
  [(3, 0.408, 0.099), (5, 0.349, 0.052), (7, 0.329, 0.034), (11, 0.314, 0.020)],
)
def test_bands_of_common_sizes(size, mean, std):
  band = symmetry.random_band(size, size)
  assert band.mean == pytest.approx(mean, abs=1e-3)
  assert band.std == pytest.approx(std, abs=1e-3)
  assert band.standard_error == pytest.approx(band.std / band.samples**0.5)
  assert band.standard_error < 5e-4


@pytest.mark.parametrize('h, w', [(1, 2), (1, 3), (1, 7), (7, 1), (2, 3), (3, 5)])
def test_mean_is_exact_where_all_elements_are_involutions(h, w):
  band = symmetry.random_band(h, w)
  exact = [mean_distance(p) for p in symmetry.group_of(h, w).elements.values()]
  assert abs(band.mean - (1 - np.mean(exact) / 2)) < 4 * band.standard_error


@pytest.mark.parametrize('size', [3, 4])
def test_distances_of_random_kernels_follow_the_beta_law(float64, size):
  kernels = gaussian(size, size, 20_000)
  found = jax.tree.map(np.asarray, jax.jit(symmetry.distances)(kernels))
  for name, permutation in symmetry.group_of(size, size).elements.items():
    if name in ('r', 'r3'):  # Quarter turns are no involutions.
      continue
    error = found[name].std() / len(found[name]) ** 0.5
    assert abs(found[name].mean() - mean_distance(permutation)) < 4 * error


def test_score_of_random_kernels_is_in_the_band():
  # The band is of numpy in float64; the score, of JAX in float32.
  band = symmetry.random_band(3, 3)
  scores = np.asarray(symmetry.score(gaussian(3, 3, 200, 100)))
  assert abs(scores.mean() - band.mean) < 4 * band.std / 20_000**0.5
  assert float(scores.std()) == pytest.approx(band.std, abs=2e-3)


def test_mean_of_uniform_weights_is_in_the_band(key):
  # Kaiming's uniform initialiser: the central limit theorem makes the mean Gaussian.
  weights = jax.random.uniform(key, (3, 3, 64, 2000), jnp.float32, -1, 1)
  band = symmetry.random_band(3, 3)
  scores = np.asarray(symmetry.score(weights.mean(axis=2)))
  assert abs(scores.mean() - band.mean) < 4 * band.std / 2000**0.5


def test_band_is_drawn_once_and_by_size():
  assert symmetry.random_band(5, 5) is symmetry.random_band(5, 5)
  assert symmetry.random_band(5, 5).mean < symmetry.random_band(3, 3).mean


def test_a_single_tap_has_no_band():
  with pytest.raises(UserError, match='1x1'):
    symmetry.random_band(1, 1)
