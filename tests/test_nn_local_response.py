"""Local response normalisation against its sum, channel by channel."""

import jax.numpy as jnp
import numpy as np

from symjax.nn import local_response_normalization


def test_channels_are_divided_by_the_power_of_their_neighbours(float64):
  x = np.random.default_rng(0).uniform(0, 255, (2, 3, 2, 7))
  expected = np.empty_like(x)
  for c in range(7):
    power = sum(x[..., d] ** 2 for d in range(max(c - 2, 0), min(c + 3, 7)))
    expected[..., c] = x[..., c] / (1 + 1e-4 / 5 * power) ** 0.75
  y = local_response_normalization(jnp.asarray(x))
  np.testing.assert_allclose(y, expected, rtol=1e-12)
  assert 0.2 < (expected / x).min() < 0.6  # It does something to pixels of 0 to 255.
