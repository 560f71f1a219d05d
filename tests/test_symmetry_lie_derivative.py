"""The local measure: exact flows, exact zeros, and the finite difference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjax.symmetry import (
  equivariance_error,
  lie_derivative,
  local_equivariance_error,
  rotation_flow,
  still,
  translation_flow,
)
from symjax.symmetry.transformations import circular_translation, dihedral

pytestmark = pytest.mark.usefixtures('float64')


def gaussian(*shape, seed=0):
  return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def circular_convolution(x):
  """[b, h, w, c] correlated with an uneven 2x3 kernel, from shifts alone."""
  weights = np.random.default_rng(1).standard_normal((2, 3))
  return sum(
    weights[i, j] * jnp.roll(x, (-i, -j), (1, 2)) for i in range(2) for j in range(3)
  )


def pointwise(x):
  """A linear map of the channels."""
  return x @ gaussian(x.shape[-1], 5, seed=2)


FLOWS = {'translation': translation_flow((1.0, -0.5)), 'rotation': rotation_flow}


@pytest.mark.parametrize('size', [(8, 8), (7, 9)])
def test_translations_agree_with_whole_pixels_and_add_up(size):
  x = gaussian(2, *size, 3)
  flow = translation_flow((1.0, -2.0))
  moved = flow(x, jnp.asarray(2.0))
  np.testing.assert_allclose(moved, circular_translation((2, -4))(x), atol=1e-12)
  if size == (7, 9):  # Of even sides the alternating wave is lost half-way.
    for t in (0.3, 1.7):
      back = flow(flow(x, jnp.asarray(t)), jnp.asarray(-t))
      np.testing.assert_allclose(back, x, atol=1e-12)


def test_translations_move_waves_by_parts_of_a_pixel():
  places, shift = np.arange(12) * 2 * np.pi / 12, 0.37 * 2 * np.pi / 12
  x = jnp.asarray(np.cos(3 * places))[None, :, None, None] * jnp.ones((1, 1, 4, 1))
  moved = translation_flow((1.0, 0.0))(x, jnp.asarray(0.37))
  np.testing.assert_allclose(
    moved[0, :, 0, 0], np.cos(3 * (places - shift)), atol=1e-12
  )
  half = translation_flow((1.0, 0.0), image_size=(24, 8))(x, jnp.asarray(0.74))
  np.testing.assert_allclose(half, moved, atol=1e-12)


def test_rotations_invert_keep_norms_and_make_the_quarter_turn():
  x = gaussian(2, 9, 9, 2)
  quarter = rotation_flow(x, jnp.asarray(np.pi / 2))
  np.testing.assert_allclose(quarter, dihedral('r')(x), atol=1e-12)
  turned = rotation_flow(x, jnp.asarray(0.4))
  np.testing.assert_allclose(rotation_flow(turned, jnp.asarray(-0.4)), x, atol=1e-12)
  np.testing.assert_allclose(jnp.linalg.norm(turned), jnp.linalg.norm(x), rtol=1e-12)
  assert abs(turned - x).max() > 0.1


EQUIVARIANT = [
  ('translation', circular_convolution, translation_flow((1.0, -0.5))),
  ('translation', pointwise, translation_flow((1.0, -0.5))),
  ('translation', lambda x: x.mean((1, 2)), still),
  ('translation', lambda x: jnp.square(circular_convolution(x)).sum((1, 2)), still),
  ('rotation', pointwise, rotation_flow),
  ('rotation', lambda x: x.mean((1, 2)), still),
  ('rotation', lambda x: jnp.square(x).sum((1, 2)), still),
]


@pytest.mark.parametrize('flow, apply, flow_out', EQUIVARIANT)
def test_it_is_zero_for_exactly_equivariant_functions(flow, apply, flow_out):
  x = gaussian(2, 9, 11, 3)
  assert local_equivariance_error(apply, FLOWS[flow], flow_out, x) < 1e-12


NOT_EQUIVARIANT = [
  ('translation', lambda x: x[:, ::2, ::2], translation_flow((0.5, -0.25))),
  ('translation', jax.nn.relu, translation_flow((1.0, -0.5))),  # It aliases.
  ('translation', lambda x: x[:, 0, 0], still),
  ('rotation', circular_convolution, rotation_flow),
  ('rotation', lambda x: x[:, 0, 0], still),
]


@pytest.mark.parametrize('flow, apply, flow_out', NOT_EQUIVARIANT)
def test_it_sees_what_is_not(flow, apply, flow_out):
  x = gaussian(2, 9, 11, 3)
  assert local_equivariance_error(apply, FLOWS[flow], flow_out, x) > 0.1


SMOOTH = [
  (
    'translation',
    lambda x: jnp.tanh(x[:, 1:] * x[:, :-1]),
    translation_flow((1.0, -0.5)),
  ),
  ('rotation', lambda x: jnp.tanh(circular_convolution(x)), rotation_flow),
  ('rotation', lambda x: jnp.tanh(x[:, 0]).sum(1), still),
]


@pytest.mark.parametrize('flow, apply, flow_out', SMOOTH)
def test_it_is_the_limit_of_finite_differences(flow, apply, flow_out):
  x = gaussian(2, 8, 9, 3)

  def moved(t):
    return flow_out(apply(FLOWS[flow](x, jnp.asarray(t))), jnp.asarray(-t))

  step = 1e-5
  difference = (moved(step) - moved(-step)) / (2 * step)
  derivative = lie_derivative(apply, FLOWS[flow], flow_out, x)
  np.testing.assert_allclose(derivative, difference, atol=1e-8 * abs(difference).max())


def test_aliasing_is_seen_below_one_pixel_and_nowhere_else():
  """ReLU commutes with whole pixels; the less it folds over, the nearer in between."""
  places = np.arange(16) * 2 * np.pi / 16
  x = {k: jnp.asarray(np.cos(k * places + 0.2))[None, :, None, None] for k in (1, 5)}
  whole, flow = circular_translation((1, 0)), translation_flow((1.0, 0.0))
  assert equivariance_error(jax.nn.relu, whole, whole, x[5]) == 0
  slow, fast = (local_equivariance_error(jax.nn.relu, flow, flow, x[k]) for k in x)
  assert 0.01 < slow < fast / 5


def test_strided_maps_move_in_proportion():
  """A blur that leaves no frequency to fold makes subsampling equivariant."""

  def subsample(x):
    spectrum = jnp.fft.fft2(x, axes=(1, 2))
    low = np.abs(np.fft.fftfreq(16)) < 0.25
    kept = jnp.where((low[:, None] & low)[None, :, :, None], spectrum, 0)
    return jnp.fft.ifft2(kept, axes=(1, 2)).real[:, ::2, ::2]

  flow = translation_flow((1.0, 2.0), image_size=(16, 16))
  x = gaussian(2, 16, 16, 3)
  assert local_equivariance_error(subsample, flow, flow, x) < 1e-12
  assert local_equivariance_error(lambda x: x[:, ::2, ::2], flow, flow, x) > 0.1


def test_float32_and_half_precision_are_measured_in_float32():
  x = gaussian(2, 9, 9, 3)
  expected = lie_derivative(jnp.tanh, rotation_flow, rotation_flow, x)
  for dtype, tolerance in ((jnp.float32, 1e-5), (jnp.bfloat16, 0.05)):
    derivative = jax.jit(
      lambda x: lie_derivative(jnp.tanh, rotation_flow, rotation_flow, x)
    )(x.astype(dtype))
    assert derivative.dtype == jnp.float32
    gap = np.linalg.norm(np.asarray(derivative) - np.asarray(expected))
    assert gap < tolerance * np.linalg.norm(expected)
