"""Equivariance of anything: exact functions have none, and each break shows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from symjax.errors import UserError
from symjax.symmetry import (
  equivariance_error,
  equivariance_errors,
  symmetrize,
  transformations,
)
from symjax.symmetry.d4 import TRANSFORMS
from symjax.symmetry.transformations import (
  brightness,
  circular_translation,
  cropped_translation,
  dihedral,
  disc,
  filled_translation,
  identity,
  permutation,
  rotation,
)


def gaussian(*shape, seed=0, dtype=np.float32):
  return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def convolve(x, kernel, stride=1, mode='constant'):
  """[b, h, w, c] with a border of `mode`, against an odd [k, k, in, out] kernel."""
  reach = kernel.shape[0] // 2
  x = jnp.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode=mode)
  numbers = ('NHWC', 'HWIO', 'NHWC')
  return lax.conv_general_dilated(
    x, kernel, (stride, stride), 'VALID', dimension_numbers=numbers
  )


def layers(kernel, stride=1, mode='constant'):
  """A convolution, a ReLU, another convolution with the same kernel."""
  return lambda x: convolve(
    jax.nn.relu(convolve(x, kernel, stride, mode)), kernel, mode=mode
  )


def waves(size, frequency=1):
  """[1, size, size, 1] smooth image, oblique."""
  down, right = np.mgrid[:size, :size] * (2 * np.pi * frequency / size)
  image = np.cos(down + 2 * right) + np.sin(2 * down - right)
  return jnp.asarray(image[None, ..., None], jnp.float32)


@pytest.mark.parametrize('element', TRANSFORMS)
@pytest.mark.parametrize('size, stride, exact', [(8, 1, 1), (9, 2, 1), (8, 2, 0)])
def test_symmetric_kernels_commute_with_d4_where_the_stride_fits(
  element, size, stride, exact
):
  network = layers(symmetrize(gaussian(3, 3, 3, 3)), stride)
  turn = dihedral(element)
  error = equivariance_error(network, turn, turn, gaussian(2, size, size, 3))
  # Of all elements, the transpose alone keeps the corner where the grid starts.
  if exact or element == 'sr':
    assert error < 1e-6
  else:
    assert error > 0.1


@pytest.mark.parametrize('element', TRANSFORMS)
def test_free_kernels_do_not(element):
  turn = dihedral(element)
  network = layers(gaussian(3, 3, 3, 3))
  assert equivariance_error(network, turn, turn, gaussian(2, 9, 9, 3)) > 0.3


@pytest.mark.parametrize('stride', [1, 2, 4])
def test_circular_convolutions_commute_with_translations_by_the_stride(stride):
  network = layers(gaussian(3, 3, 3, 3), stride, 'wrap')
  x = gaussian(2, 16, 8, 3)
  moves = circular_translation((stride, 2 * stride)), circular_translation((1, 2))
  assert equivariance_error(network, *moves, x) < 1e-6
  both = circular_translation((stride, 2 * stride), image_size=(16, 8))
  assert equivariance_error(network, both, both, x) < 1e-6
  padded = layers(gaussian(3, 3, 3, 3), stride)
  assert equivariance_error(padded, *moves, x) > 0.1
  if stride > 1:  # By one pixel less.
    less = circular_translation((stride - 1, 2 * stride))
    assert equivariance_error(network, less, moves[1], x) > 0.3


def test_cropped_translations_compare_the_overlap_of_two_windows():
  kernel, x = gaussian(3, 3, 3, 3), gaussian(2, 21, 21, 3)
  network = layers(kernel, 2)
  moves = cropped_translation((4, 2)), cropped_translation((2, 1))

  def interior(y):
    return y[:, 2:-2, 2:-2]

  assert equivariance_error(network, *moves, x, region=interior) < 1e-6
  assert equivariance_error(network, *moves, x) > 0.05  # The border, zero or not.
  odd = cropped_translation((3, 2)), cropped_translation((2, 1))
  assert equivariance_error(network, *odd, x, region=interior) > 0.3
  # Without padding there is no border to tell the windows apart.
  moves = cropped_translation((4, 2)), cropped_translation((4, 2))
  error = equivariance_error(lambda x: convolve(x, kernel)[:, 1:-1, 1:-1], *moves, x)
  assert error < 1e-6


def test_translations_move_smaller_maps_in_proportion():
  x = gaussian(2, 12, 8, 3)
  small = x[:, ::2, ::2]
  for translation in (circular_translation, cropped_translation, filled_translation):
    proportional = translation((4, 2), image_size=(12, 8))
    np.testing.assert_array_equal(proportional(x), translation((4, 2))(x))
    np.testing.assert_array_equal(proportional(small), translation((2, 1))(small))


def test_filled_translations_are_windows_on_a_scene_that_goes_on_as_the_edge():
  x = gaussian(2, 6, 5, 2, 3)  # Trailing axes of any number.
  moved = filled_translation((2, 1))(x)
  for row in range(6):
    for column in range(5):
      expected = x[:, max(row - 2, 0), max(column - 1, 0)]
      np.testing.assert_array_equal(moved[:, row, column], expected)


def test_without_padding_both_windows_of_a_filled_translation_see_the_same():
  kernel, x = gaussian(3, 3, 3, 3), gaussian(2, 21, 21, 3)

  def valid(x):
    return convolve(x, kernel)[:, 1:-1, 1:-1]

  move, overlap = filled_translation((4, 2)), cropped_translation((4, 2))
  assert equivariance_error(valid, move, move, x, region=overlap) < 1e-6
  assert equivariance_error(valid, move, move, x) > 0.05  # What is not seen twice.
  padded = layers(kernel, 1)
  assert equivariance_error(padded, move, move, x, region=overlap) > 0.05


def test_rotations_agree_with_d4_and_with_nothing_turned():
  x = gaussian(2, 8, 8, 2, 3)  # Trailing axes of any number.
  for degrees, element in ((90, 'r'), (180, 'r2'), (270, 'r3'), (-90, 'r3')):
    np.testing.assert_allclose(rotation(degrees)(x), dihedral(element)(x), atol=1e-5)
  np.testing.assert_array_equal(rotation(0)(x), x)
  assert rotation(10)(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_isotropic_filters_commute_with_small_rotations_on_the_disc():
  down, right = np.mgrid[-4:5, -4:5]
  turn, x = rotation(7), waves(32)

  def error(kernel, region=disc):
    kernel = jnp.asarray(kernel[..., None, None], jnp.float32)
    return equivariance_error(
      lambda x: convolve(x, kernel, mode='wrap'), turn, turn, x, region=region
    )

  def core(y):
    return disc(y[:, 5:-5, 5:-5])

  isotropic = error(np.exp(-(down**2 + right**2) / 4), core)
  assert isotropic < 0.01
  assert error(np.exp(-(down**2 + right**2) / 4)) > 3 * isotropic  # With the border.
  assert error(down * np.exp(-(down**2 + right**2) / 4), core) > 0.05


def test_brightness():
  x = gaussian(2, 5, 5, 3)
  network = layers(gaussian(3, 3, 3, 3))
  louder = brightness(scale=3.0)
  # ReLU networks without biases are homogeneous of degree 1.
  assert equivariance_error(network, louder, louder, x) < 1e-6
  assert equivariance_error(lambda x: x / x.std(), louder, identity, x) < 1e-6
  brighter = brightness(offset=0.5)
  contrast = equivariance_error(lambda x: x - x.mean(), brighter, identity, x)
  assert contrast < 1e-6
  assert equivariance_error(jnp.tanh, brighter, brighter, x) > 0.1


def test_functions_of_sets_are_equivariant_under_their_permutations():
  x = gaussian(2, 6, 4)
  shuffle = permutation([3, 1, 0, 5, 4, 2])
  centre = equivariance_error(
    lambda x: x - x.mean(1, keepdims=True), shuffle, shuffle, x
  )
  assert centre < 1e-6
  assert equivariance_error(lambda x: x.sum(1), shuffle, identity, x) < 1e-6
  assert equivariance_error(lambda x: jnp.cumsum(x, 1), shuffle, shuffle, x) > 0.3


def test_errors_of_examples_and_of_the_batch(float64):
  """By the definition, with an apply that reveals which side it is asked for."""
  x = jnp.asarray([[3.0, 4.0], [0.0, 5.0]])
  sides = {'transform_in': lambda x: x + 1, 'transform_out': identity}
  errors = equivariance_errors(identity, x=x, **sides)
  np.testing.assert_allclose(errors, [np.sqrt(2) / 5] * 2, rtol=1e-12)
  x = x.at[1].multiply(3.0)
  errors = equivariance_errors(identity, x=x, **sides)
  np.testing.assert_allclose(errors, [np.sqrt(2) / 5, np.sqrt(2) / 15], rtol=1e-12)
  pooled = equivariance_error(identity, x=x, **sides)
  np.testing.assert_allclose(pooled, np.sqrt((2 + 2) / (25 + 225)), rtol=1e-12)


def test_zero_outputs_are_defined():
  x = gaussian(3, 4)
  first = permutation([1, 0, 2, 3])
  zero, infinite = (
    equivariance_errors(f, first, identity, x)
    for f in (lambda x: 0 * x, lambda x: jnp.where(x == gaussian(3, 4), 0, x))
  )
  np.testing.assert_array_equal(zero, 0)
  np.testing.assert_array_equal(infinite, np.inf)
  assert np.isnan(equivariance_error(lambda x: x * jnp.nan, first, first, x))


@pytest.mark.parametrize('scale', [1e-30, 1e30])
def test_the_error_has_no_unit(scale):
  x = gaussian(2, 9, 9, 3)
  turn, network = dihedral('r'), layers(gaussian(3, 3, 3, 3))
  error = equivariance_error(network, turn, turn, x)
  scaled = equivariance_error(lambda x: network(x) * scale, turn, turn, x)
  np.testing.assert_allclose(scaled, error, rtol=1e-5)


def test_it_is_a_regulariser():
  """Compiled and differentiated: descent makes a free kernel symmetric."""
  turn, x = dihedral('r'), gaussian(2, 7, 7, 1)

  @jax.jit
  def error(kernel):
    return equivariance_error(lambda x: convolve(x, kernel), turn, turn, x)

  kernel = gaussian(3, 3, 1, 1)
  before = error(kernel)
  for _ in range(100):
    kernel = kernel - 0.2 * jax.grad(error)(kernel)
  assert error(kernel) < 0.1 * before
  np.testing.assert_array_equal(jax.grad(error)(jnp.zeros((3, 3, 1, 1))), 0)


@pytest.mark.parametrize(
  'mistake, message',
  [
    (lambda x: dihedral('q'), "no element 'q' in D4"),
    (lambda x: cropped_translation((-1, 0)), r'\(down, right\) >= 0'),
    (lambda x: filled_translation((0, -1)), r'filled shift \(0, -1\)'),
    (lambda x: cropped_translation((9, 0))(x), 'leaves nothing of a 9x9'),
    (lambda x: circular_translation((1, 0), (18, 18))(x), 'not a whole number'),
    (lambda x: permutation([0, 0, 1]), 'not a permutation of 0 ... 2'),
    (lambda x: permutation([1, 0])(x), 'does not fit axis 1'),
    (
      lambda x: equivariance_error(identity, cropped_translation((1, 0)), identity, x),
      r'f\(T x\) has shape \(2, 8, 9, 3\)',
    ),
  ],
)
def test_mistakes_are_named(mistake, message):
  with pytest.raises(UserError, match=message):
    mistake(jnp.zeros((2, 9, 9, 3)))


def test_quarter_turns_swap_the_sides_of_rectangles():
  x = gaussian(2, 4, 6, 3)
  for element, inverse in (('r', 'r3'), ('sr', 'sr'), ('sr3', 'sr3')):
    assert dihedral(element)(x).shape == (2, 6, 4, 3)
    np.testing.assert_array_equal(dihedral(inverse)(dihedral(element)(x)), x)
  np.testing.assert_array_equal(dihedral('r')(x)[0], np.rot90(x[0], -1))
  assert transformations.disc(jnp.ones((1, 5, 7, 1))).sum() == 13
