import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symjax.errors import UserError
from symjax.optim import oblique

CASES = [((3, 3, 4, 8), (0, 1, 2)), ((20, 6), (0,)), ((5, 7), 1), ((4, 2, 9), (-1, 0))]


@pytest.fixture(params=['float32', 'float64'])
def dtype(request):
  with jax.enable_x64(request.param == 'float64'):
    yield np.dtype(request.param)


@pytest.fixture(params=CASES, ids=str)
def case(request):
  return request.param


def gaussian(shape, dtype, seed):
  return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def point(shape, axes, dtype, seed=0):
  return oblique.normalize(gaussian(shape, dtype, seed), axes)


def tangent(w, axes, length, seed=1):
  """A tangent vector of the given length in every filter."""
  u = oblique.to_tangent(w, gaussian(w.shape, w.dtype, seed), axes)
  return length * oblique.normalize(u, axes)


def norms(w, axes):
  return np.sqrt(np.square(np.asarray(w, np.float64)).sum(axes))


def rounding(dtype):
  return 8 * np.finfo(dtype).eps


def test_points_have_norm_one(case, dtype):
  shape, axes = case
  w = point(shape, axes, dtype)
  assert w.dtype == dtype
  np.testing.assert_allclose(norms(w, axes), 1, atol=rounding(dtype))


@settings(deadline=None, max_examples=50)
@given(st.floats(-36, 36), st.integers(0, 99))
def test_normalising_ignores_positive_scale(exponent, seed):
  z = np.random.default_rng(seed).uniform(0.1, 1, (9, 4)).astype(np.float32)
  scaled = oblique.normalize(np.float32(10.0**exponent) * z, 0)
  np.testing.assert_allclose(scaled, oblique.normalize(z, 0), atol=3e-7)


def test_normalising_twice_is_normalising_once(case, dtype):
  shape, axes = case
  w = point(shape, axes, dtype)
  np.testing.assert_allclose(oblique.normalize(w, axes), w, atol=rounding(dtype))


def test_tangent_vectors_are_orthogonal_to_their_filters(case, dtype):
  shape, axes = case
  w, z = point(shape, axes, dtype), gaussian(shape, dtype, 1)
  u = oblique.to_tangent(w, z, axes)
  sizes = norms(z, axes)
  assert (np.abs(oblique.inner(w, u, axes)) < rounding(dtype) * sizes).all()
  # And nothing but the radial part is gone.
  radial = np.asarray(z - u, np.float64)
  np.testing.assert_allclose(
    norms(radial, axes), np.abs(oblique.inner(w, z, axes)), atol=rounding(dtype)
  )


def test_projection_is_linear_idempotent_and_symmetric(case, dtype):
  shape, axes = case
  w = point(shape, axes, dtype)
  project = functools.partial(oblique.to_tangent, w, axes=axes)
  y, z = gaussian(shape, dtype, 1), gaussian(shape, dtype, 2)
  close = functools.partial(np.testing.assert_allclose, atol=4 * rounding(dtype))
  close(project(3 * y - z), 3 * project(y) - project(z))
  close(project(project(z)), project(z))
  close(oblique.inner(project(y), z, axes), oblique.inner(y, project(z), axes))


def test_retraction_agrees_with_the_straight_step_to_first_order(case, dtype):
  shape, axes = case
  w = point(shape, axes, dtype)
  u = tangent(w, axes, 1)

  def gap(t):
    return norms(oblique.retract(w, t * u, axes) - (w + t * u), axes).max()

  assert 3.9 < gap(0.1) / gap(0.05) < 4.1  # O(t^2)


def test_retraction_agrees_with_the_geodesic_to_second_order(case, dtype):
  shape, axes = case
  w = point(shape, axes, dtype)
  u = tangent(w, axes, 1)

  def gap(t):
    geodesic = oblique.exponential(w, t * u, axes)
    return norms(oblique.retract(w, t * u, axes) - geodesic, axes).max()

  assert 7.8 < gap(0.2) / gap(0.1) < 8.2  # O(t^3)


def test_retraction_by_nothing_stays(case, dtype):
  shape, axes = case
  w = point(shape, axes, dtype)
  for move in (oblique.retract, oblique.exponential):
    np.testing.assert_allclose(move(w, 0 * w, axes), w, atol=rounding(dtype))


@pytest.mark.parametrize('length', [1e-6, 0.1, 1.0, 3.0, 1e9])
def test_retraction_lands_on_the_sphere_from_any_step(case, dtype, length):
  shape, axes = case
  w = point(shape, axes, dtype)
  for step in (
    tangent(w, axes, length),
    length * gaussian(shape, dtype, 2),
    w * length,
  ):
    landed = oblique.retract(w, step, axes)
    np.testing.assert_allclose(norms(landed, axes), 1, atol=rounding(dtype))


def test_a_step_that_overflows_is_not_a_zero_filter():
  w = point((9, 4), 0, np.float32)
  assert np.isnan(oblique.retract(w, 1e30 * w, 0)).all()


@pytest.mark.parametrize('length', [1e-3, 0.5, 2.0, 3.1])
def test_the_exponential_map_goes_as_far_as_its_velocity(case, dtype, length):
  shape, axes = case
  w = point(shape, axes, dtype)
  end = oblique.exponential(w, tangent(w, axes, length), axes)
  np.testing.assert_allclose(norms(end, axes), 1, atol=rounding(dtype))
  np.testing.assert_allclose(
    oblique.distance(w, end, axes), length, atol=rounding(dtype)
  )


def test_geodesics_have_constant_speed(case, dtype):
  shape, axes = case
  w = point(shape, axes, dtype)
  u = tangent(w, axes, 3.0)
  stops = [oblique.exponential(w, t * u, axes) for t in np.linspace(0, 1, 7).tolist()]
  legs = [oblique.distance(*ends, axes) for ends in zip(stops, stops[1:], strict=False)]
  np.testing.assert_allclose(legs, np.full_like(legs, 0.5), atol=rounding(dtype))


def test_the_exponential_map_starts_with_its_velocity(float64):
  """Its derivative at u = 0 is the identity, and finite."""
  w = point((6, 3), 0, np.float64)
  derivative = jax.jacobian(lambda u: oblique.exponential(w, u, 0))(jnp.zeros_like(w))
  np.testing.assert_allclose(derivative.reshape(18, 18), np.eye(18), atol=1e-15)


@pytest.mark.parametrize('length', [0.0, 1e-30, 1e-3, 1.0])
def test_the_exponential_map_has_finite_gradients(length):
  w = point((6, 3), 0, np.float32)
  u = tangent(w, 0, length)
  gradients = jax.grad(
    lambda w, u: oblique.exponential(w, u, 0)[0].sum(), argnums=(0, 1)
  )(w, u)
  for gradient in gradients:
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0.1


def test_transport_keeps_tangency(case, dtype):
  shape, axes = case
  w = point(shape, axes, dtype)
  u, z = tangent(w, axes, 0.7), tangent(w, axes, 1, seed=2)
  to = oblique.exponential(w, u, axes)
  carried = oblique.transport(w, to, z, axes)
  assert (np.abs(oblique.inner(to, carried, axes)) < rounding(dtype)).all()
  assert (norms(carried, axes) < 1 + rounding(dtype)).all()
  stays = oblique.transport(w, w, z, axes)
  np.testing.assert_allclose(stays, z, atol=rounding(dtype))


def test_distance_is_a_metric(case, dtype):
  shape, axes = case
  a, b, c = (point(shape, axes, dtype, seed) for seed in range(3))
  there, back = oblique.distance(a, b, axes), oblique.distance(b, a, axes)
  np.testing.assert_array_equal(there, back)
  np.testing.assert_array_equal(oblique.distance(a, a, axes), 0)
  detour = there + oblique.distance(b, c, axes)
  assert (oblique.distance(a, c, axes) <= detour + rounding(dtype)).all()
  # By the arc cosine, which is good in the middle.
  cosine = np.clip(np.asarray(a * b, np.float64).sum(axes), -1, 1)
  np.testing.assert_allclose(there, np.arccos(cosine), atol=8 * rounding(dtype))


@pytest.mark.parametrize('angle', [1e-12, 1e-7, 1e-3])
def test_distance_keeps_its_digits_at_both_ends(float64, angle):
  w = jnp.array([1.0, 0, 0])
  near = jnp.array([np.cos(angle), np.sin(angle), 0])
  np.testing.assert_allclose(oblique.distance(w, near, 0), angle, rtol=1e-12)
  short_of_pi = np.pi - oblique.distance(w, -near, 0)
  np.testing.assert_allclose(short_of_pi, angle, atol=1e-15)


def test_distance_has_finite_gradients_at_both_ends():
  w = point((6, 3), 0, np.float32)
  for v in (w, -w):
    gradient = jax.grad(lambda w, v=v: oblique.distance(w, v, 0).sum())(w)
    np.testing.assert_array_equal(gradient, 0)


def test_rotations_are_isometries(dtype):
  rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
  rotation = jnp.asarray(rotation, dtype)
  w, v = (point((6, 4), 0, dtype, seed) for seed in range(2))
  u = tangent(w, 0, 0.8)
  close = functools.partial(np.testing.assert_allclose, atol=rounding(dtype))
  close(oblique.distance(rotation @ w, rotation @ v, 0), oblique.distance(w, v, 0))
  for move in (oblique.retract, oblique.exponential, oblique.to_tangent):
    close(move(rotation @ w, rotation @ u, 0), rotation @ move(w, u, 0))


def test_the_order_of_taps_and_filters_does_not_matter(dtype):
  shuffle = np.random.default_rng(0)
  taps, filters = shuffle.permutation(6), shuffle.permutation(4)
  w, v = (point((6, 4), 0, dtype, seed) for seed in range(2))
  u = tangent(w, 0, 0.8)

  def move(x):
    return x[taps][:, filters]

  close = functools.partial(np.testing.assert_allclose, atol=rounding(dtype))
  close(oblique.distance(move(w), move(v), 0), oblique.distance(w, v, 0)[filters])
  close(oblique.retract(move(w), move(u), 0), move(oblique.retract(w, u, 0)))
  # A transposed kernel with transposed axes is the same manifold.
  close(oblique.retract(w.T, u.T, 1), oblique.retract(w, u, 0).T)


def test_filters_do_not_see_each_other(dtype):
  w = point((9, 4), 0, dtype)
  u = tangent(w, 0, 0.5)
  for move in (oblique.retract, oblique.exponential, oblique.to_tangent):
    apart = jnp.stack([move(w[:, i], u[:, i], 0) for i in range(4)], axis=1)
    np.testing.assert_allclose(move(w, u, 0), apart, atol=rounding(dtype))


@pytest.mark.parametrize('half', [jnp.bfloat16, jnp.float16])
def test_half_precision_is_computed_in_single(half):
  w = point((3, 3, 64, 8), (0, 1, 2), half)
  u = tangent(w.astype(jnp.float32), (0, 1, 2), 0.5).astype(half)
  for function in (oblique.retract, oblique.exponential, oblique.to_tangent):
    found = function(w, u, (0, 1, 2))
    assert found.dtype == half
    wide = function(w.astype(jnp.float32), u.astype(jnp.float32), (0, 1, 2))
    np.testing.assert_array_equal(found, wide.astype(half))
  for measure in (oblique.inner, oblique.distance):
    assert measure(w, u, (0, 1, 2)).dtype == jnp.float32


def test_points_and_steps_of_different_dtypes_meet_in_single():
  w = point((9, 4), 0, np.float32)
  u = gaussian((9, 4), np.float32, 1).astype(jnp.bfloat16)
  assert oblique.to_tangent(w, u, 0).dtype == jnp.float32
  assert oblique.retract(w, u, 0).dtype == jnp.float32
  half = w.astype(jnp.bfloat16)
  assert oblique.to_tangent(half, w, 0).dtype == jnp.float32
  assert oblique.retract(half, w, 0).dtype == jnp.bfloat16


def test_tangency_survives_a_rounded_point():
  w = 1.01 * point((9, 4), 0, np.float32)
  u = oblique.to_tangent(w, gaussian((9, 4), np.float32, 1), 0)
  assert np.abs(oblique.inner(w, u, 0)).max() < 1e-6


def test_a_zero_filter_has_no_direction():
  z = gaussian((9, 2), np.float32, 0).at[:, 1].set(0)
  w = oblique.normalize(z, 0)
  np.testing.assert_array_equal(np.isnan(w).any(0), [False, True])


def test_shapes_of_what_is_measured():
  w, v = (point((3, 3, 4, 8), (0, 1, 2), np.float32, seed) for seed in range(2))
  assert oblique.inner(w, v, (0, 1, 2)).shape == (8,)
  assert oblique.distance(w, v, (0, 1)).shape == (4, 8)


@pytest.mark.parametrize('axes', [(0, 4), (-5,), (), (0, 0), (1, -3)])
def test_axes_that_name_no_filter_are_refused(axes):
  with pytest.raises(UserError, match='rank 4: name each axis of a filter once'):
    oblique.normalize(np.ones((3, 3, 4, 8), np.float32), axes)


def test_filters_without_numbers_are_refused():
  with pytest.raises(UserError, match=r'shape \(0, 4\) has empty filters over axes'):
    oblique.normalize(np.ones((0, 4), np.float32), 0)
  with pytest.raises(UserError, match='floating numbers, not int32'):
    oblique.normalize(np.ones((3, 4), np.int32), 0)
