import jax.numpy as jnp
import numpy as np
import pytest
from optim_walks import gaussian

from symjax.optim import oblique
from symjax.optim.filter_sums import filter_sums
from symjax.optim.landing import land

# Filters of few numbers and of many, of which a step's radial part is a guess.
CASES = [
  ((20, 6), (0,)),
  ((3, 3, 64, 4), (0, 1, 2)),
  ((4, 32, 5, 5), (1, 2, 3)),
  ((997, 2), (0,)),
  ((1, 3), (0,)),
]


@pytest.fixture(params=CASES, ids=str)
def case(request):
  return request.param


def point(case, dtype=np.float32):
  shape, axes = case
  return oblique.normalize(gaussian(shape, 0, dtype), axes), axes


def norms(w, axes):
  return np.sqrt(np.square(np.asarray(w, np.float64)).sum(axes))


def test_sums_over_filters_are_sums(case, float64):
  shape, axes = case
  arrays = [gaussian(shape, seed, np.float64) for seed in range(3)]
  for found, array in zip(filter_sums(axes, *arrays), arrays, strict=True):
    expected = np.sum(array, axes, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize('radial', [0.0, 1.0, 100.0])
def test_landing_is_projection_and_retraction(case, radial, float64):
  w, axes = point(case, np.float64)
  u = radial * w + 0.3 * gaussian(w.shape, 1, np.float64)
  expected = oblique.retract(w, oblique.to_tangent(w, u, axes), axes)
  np.testing.assert_allclose(land(w, u, axes), expected, atol=1e-12)


@pytest.mark.parametrize('tangent', [0.0, 1e-3, 1.0, 1e4])
@pytest.mark.parametrize('radial', [0.0, 3.0, 1e3, 1e7])
def test_every_step_lands_on_the_sphere(case, radial, tangent):
  w, axes = point(case)
  u = radial * w + tangent * oblique.normalize(gaussian(w.shape, 1), axes)
  np.testing.assert_allclose(norms(land(w, u, axes), axes), 1, atol=1e-6)


def test_a_guess_from_numbers_that_are_zero_does_no_harm():
  w, u = np.array(gaussian((640, 3), 0)), gaussian((640, 3), 1)
  w[::10] *= 1e-4  # All that a guess looks at.
  w = oblique.normalize(w, 0)
  for length in (0.01, 1.0, 100.0):
    np.testing.assert_allclose(norms(land(w, length * u, 0), 0), 1, atol=1e-6)


def test_what_is_not_finite_is_not_hidden_and_does_not_spread(case):
  w, axes = point(case)
  filter_ = tuple(0 if axis in axes else 1 for axis in range(w.ndim))
  for bad in (np.nan, np.inf):
    broken = np.isnan(land(w, jnp.zeros_like(w).at[filter_].set(bad), axes))
    assert broken.any(axes).sum() == broken.all(axes).sum() == 1


def test_a_step_that_overflows_is_not_a_zero_filter():
  w, axes = point(CASES[0])
  assert np.isnan(land(w, 1e30 * gaussian(w.shape, 1), axes)).all()
