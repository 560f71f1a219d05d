"""S(K): its published values, range and invariances; the mean kernel and the skew."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from score_reference import plain_score

from symjax import symmetry
from symjax.errors import UserError

score = jax.jit(symmetry.score)
skew = jax.jit(symmetry.skew)

SIZES = [(3, 3), (4, 4), (3, 5), (1, 7), (7, 1)]
FLOORS = {'D4': 1 - (4 / 7) ** 0.5, 'K4': 1 - (2 / 3) ** 0.5, 'Z2': 0.0}


def gaussian(*shape):
  """In float64, which JAX narrows unless the test runs in `float64`."""
  return np.random.default_rng(0).standard_normal(shape)


def single_tap(size, row, column):
  kernel = np.zeros((size, size), np.float32)
  kernel[row, column] = 1
  return kernel


@pytest.mark.parametrize(
  'kernel, expected',
  [
    ([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], 0.310),  # Sobel.
    (single_tap(3, 1, 1), 1),
    (single_tap(5, 2, 2), 1),
    (single_tap(3, 0, 0), 0.394),
    ([[1, 2, 1], [2, 4, 2], [1, 2, 1]], 1),
  ],
)
def test_scores_of_known_kernels(kernel, expected):
  found = symmetry.score(np.array(kernel))
  np.testing.assert_allclose(found, expected, atol=5e-4)


@pytest.mark.parametrize('h, w', SIZES)
def test_equals_the_printed_formula(h, w):
  kernels = gaussian(h, w, 3, 4)
  expected = [[plain_score(kernels[:, :, i, o]) for o in range(4)] for i in range(3)]
  np.testing.assert_allclose(score(kernels), expected, atol=1e-6)


@pytest.mark.parametrize('h, w', SIZES)
def test_symmetrized_kernels_score_one(h, w):
  average = symmetry.symmetrize(gaussian(h, w, 50))
  np.testing.assert_allclose(score(average), 1, atol=1e-6)


def kernels_of(h, w):
  taps = st.floats(-1e3, 1e3, width=32).map(lambda x: x if abs(x) > 1e-3 else 0.0)
  kernels = hnp.arrays(np.float32, (h, w), elements=taps)
  return kernels.filter(lambda kernel: kernel.any())


@pytest.mark.parametrize('h, w', SIZES)
def test_never_below_the_floor_nor_above_one(h, w):
  floor = FLOORS[symmetry.group_of(h, w).name]

  @settings(deadline=None, max_examples=100)
  @given(kernels_of(h, w))
  def check(kernel):
    assert floor - 1e-6 <= float(score(kernel)) <= 1

  check()


@pytest.mark.parametrize('h, w', [(5, 5), (3, 5), (1, 3)])
def test_the_floor_is_reached(float64, h, w):
  # A tap that no element leaves in place, less its average over the group: all
  # distances are equal, and their mean square is as large as can be.
  kernel = np.zeros((h, w))
  kernel[0, min(1, h - 1) if h == w else 0] = 1
  lowest = symmetry.score(kernel - symmetry.symmetrize(kernel))
  np.testing.assert_allclose(lowest, FLOORS[symmetry.group_of(h, w).name], atol=1e-12)


@pytest.mark.parametrize('h, w', SIZES)
def test_ignores_scale_sign_and_the_group(h, w):
  kernel = gaussian(h, w)
  expected = score(kernel)
  largest = np.finfo(np.float32).max / np.abs(kernel).max()
  for image in np.asarray(symmetry.orbit(kernel)):
    np.testing.assert_allclose(score(-image), expected, atol=1e-6)
  for scale in (1e-36, 1e-30, 1e-3, 1e30, largest):
    np.testing.assert_allclose(score(scale * kernel), expected, atol=1e-6)


def test_quarter_turns_are_equally_far():
  found = symmetry.distances(gaussian(3, 3, 100))
  np.testing.assert_allclose(found['r'], found['r3'], rtol=1e-5)


def test_distances_name_what_is_broken():
  # Odd from left to right, even from top to bottom.
  sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
  found = {name: float(d) for name, d in symmetry.distances(sobel).items()}
  assert found['sr2'] == 0
  assert found['s'] == pytest.approx(2, abs=1e-6)
  assert found['r2'] == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize('tap', [0, 1e-42])
def test_zero_kernel_has_no_score(tap):
  # 1e-42 is subnormal in float32.
  kernel = np.full((3, 3), tap, np.float32)
  assert np.isnan(score(kernel))
  assert np.isnan(skew(kernel)).all()


@pytest.mark.parametrize('tap', [np.nan, np.inf, -np.inf])
def test_non_finite_kernel_has_no_score(tap):
  kernels = gaussian(3, 3, 2)
  kernels[0, 1, 0] = tap
  np.testing.assert_array_equal(np.isnan(score(kernels)), [True, False])
  np.testing.assert_array_equal(np.isnan(skew(kernels)[0]), [True, False])


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16])
def test_half_precision_is_measured_in_single(dtype):
  kernel = gaussian(3, 3, 4).astype(dtype)
  assert score(kernel).dtype == jnp.float32
  wide = score(kernel.astype(jnp.float32))
  np.testing.assert_array_equal(score(kernel), wide)


def test_double_precision_is_kept(float64):
  kernel = gaussian(3, 3)
  assert score(kernel).dtype == jnp.float64
  np.testing.assert_allclose(score(kernel), plain_score(kernel), atol=1e-14)


def test_mean_kernel_accumulates_in_single():
  # In float16, 4096 + 1 is 4096, and 10 million ones overflow.
  ones = jnp.ones((3, 3, 256, 256), jnp.float16)
  mean = symmetry.mean_kernel(ones)
  assert mean.dtype == jnp.float32
  np.testing.assert_array_equal(mean, np.ones((3, 3)))


@pytest.mark.parametrize('layout', ['HWIO', 'OIHW', 'IOHW', 'OHWI', 'WHOI'])
def test_mean_kernel_in_every_layout(layout):
  hwio = gaussian(3, 5, 4, 2)
  kernel = hwio.transpose(['HWIO'.index(letter) for letter in layout])
  expected = hwio.astype(np.float64).mean((2, 3))
  found = symmetry.mean_kernel(kernel, layout)
  np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize('layout', ['HWI', 'HHIO', 'OIHWD', 'hwio'])
def test_layout_that_does_not_fit_is_refused(layout):
  with pytest.raises(UserError, match=layout):
    symmetry.mean_kernel(gaussian(3, 3, 4, 2), layout)


def test_a_single_tap_is_refused():
  with pytest.raises(UserError, match='1x1'):
    symmetry.score(gaussian(1, 1, 8, 8))


@pytest.mark.parametrize(
  'row, column, expected', [(0, 0, (-1, -1)), (1, 2, (0, 1)), (2, 1, (1, 0))]
)
def test_skew_points_down_and_right(row, column, expected):
  np.testing.assert_allclose(skew(single_tap(3, row, column)), expected, atol=1e-7)


@pytest.mark.parametrize('size', [3, 4])
def test_skew_turns_with_the_kernel(size):
  kernel = gaussian(size, size)
  down, right = np.asarray(skew(kernel))
  expected = {
    's': (down, -right),
    'sr2': (-down, right),
    'r2': (-down, -right),
    'sr': (right, down),
    'r': (right, -down),  # Clockwise: right becomes down, down becomes left.
  }
  for name, vector in expected.items():
    permutation = symmetry.group_of(size, size).elements[name]
    image = kernel.reshape(-1)[permutation].reshape(size, size)
    np.testing.assert_allclose(skew(-1e30 * image), vector, atol=1e-6)


def test_skew_of_a_line_is_along_it():
  found = skew(gaussian(1, 7, 5))
  np.testing.assert_array_equal(found[0], np.zeros(5))
  assert (np.abs(found[1]) > 0).all()
