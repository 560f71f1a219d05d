"""The gradient of S(K): finite everywhere, and right."""

import jax
import numpy as np
import pytest

from symjax import symmetry

score = jax.jit(symmetry.score)
slope = jax.jit(jax.grad(symmetry.score))


def gaussian(*shape):
  """In float64, which JAX narrows unless the test runs in `float64`."""
  return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize(
  'kernel', [np.diag([0, 1, 0]).astype(np.float32), np.ones((3, 3), np.float32)]
)
def test_gradient_is_zero_at_symmetric_kernels(kernel):
  np.testing.assert_array_equal(slope(kernel), np.zeros((3, 3)))


def test_gradient_is_finite_beside_symmetric_kernels():
  # Symmetric but for rounding, and symmetric under a part of the group.
  almost = np.array(symmetry.symmetrize(gaussian(5, 5)))
  assert np.isfinite(slope(almost)).all()
  half = almost + np.array([1, 0, 0, 0, 1], np.float32)[None]
  assert np.isfinite(slope(half)).all() and np.abs(slope(half)).max() > 1e-3


@pytest.mark.parametrize('h, w', [(3, 3), (4, 4), (3, 5), (1, 7), (7, 1)])
def test_gradient_is_the_limit_of_differences(float64, h, w):
  kernel = gaussian(h, w)
  steps = 1e-6 * np.eye(h * w).reshape(h, w, h * w)
  ahead, behind = (score(kernel[:, :, None] + sign * steps) for sign in (1, -1))
  expected = (np.asarray(ahead) - np.asarray(behind)) / 2e-6
  found = np.asarray(slope(kernel))
  np.testing.assert_allclose(found.reshape(-1), expected, atol=1e-8)
  # The score ignores scale, so it does not change along the kernel itself.
  np.testing.assert_allclose((found * kernel).sum(), 0, atol=1e-12)


@pytest.mark.parametrize('scale', [1e-30, 1e30])
def test_gradient_survives_extreme_scales(scale):
  kernel = gaussian(3, 3)
  found = slope(scale * kernel) * scale
  np.testing.assert_allclose(found, slope(kernel), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('tap', [0, 1e-42])
def test_gradient_is_zero_at_the_zero_kernel(tap):
  # 1e-42 is subnormal in float32.
  kernel = np.full((3, 3), tap, np.float32)
  np.testing.assert_array_equal(slope(kernel), np.zeros((3, 3)))
