"""The group: axioms, the names of Appendix B, orbits and averages."""

import itertools

import numpy as np
import pytest

from symjax import symmetry
from symjax.errors import UserError
from symjax.symmetry.d4 import TRANSFORMS

SIZES = [(2, 2), (3, 3), (4, 4), (7, 7), (3, 5), (2, 4), (1, 7), (5, 1), (1, 2)]
FEW_SIZES = [(4, 4), (3, 5), (5, 1)]
INVERSES = {'r': 'r3', 'r3': 'r'}


def gaussian(*shape):
  """In float64, which JAX narrows unless the test runs in `float64`."""
  return np.random.default_rng(0).standard_normal(shape)


def with_identity(h, w):
  identity = np.arange(h * w)
  return {'e': identity, **symmetry.group_of(h, w).elements}


@pytest.mark.parametrize('h, w', SIZES)
def test_elements_are_permutations_and_form_a_group(h, w):
  elements = with_identity(h, w)
  members = {tuple(p) for p in elements.values()}
  for p, q in itertools.product(elements.values(), repeat=2):
    assert sorted(p) == list(range(h * w))
    assert tuple(p[q]) in members
  for name, p in elements.items():
    inverse = elements[INVERSES.get(name, name)]
    np.testing.assert_array_equal(p[inverse], elements['e'])


@pytest.mark.parametrize(
  'h, w, name, elements',
  [
    (3, 3, 'D4', {'r', 'r2', 'r3', 's', 'sr', 'sr2', 'sr3'}),
    (3, 5, 'K4', {'r2', 's', 'sr2'}),
    (1, 7, 'Z2', {'s'}),
    (7, 1, 'Z2', {'sr2'}),
  ],
)
def test_group_of_a_size(h, w, name, elements):
  group = symmetry.group_of(h, w)
  assert group.name == name
  assert set(group.elements) == elements


@pytest.mark.parametrize('h, w', SIZES)
def test_every_element_acts(h, w):
  # On a 2x2 grid too all eight are different; a trivial one would dilute the score.
  assert (
    len({tuple(p) for p in with_identity(h, w).values()})
    == {
      'D4': 8,
      'K4': 4,
      'Z2': 2,
    }[symmetry.group_of(h, w).name]
  )


def test_elements_are_those_of_appendix_b():
  square = np.array([['a', 'b'], ['c', 'd']])
  images = {
    name: ''.join(square.reshape(-1)[p])
    for name, p in symmetry.group_of(2, 2).elements.items()
  }
  assert images == {
    'r': 'cadb',  # Clockwise: the bottom left corner comes to the top left.
    'r2': 'dcba',
    'r3': 'bdac',
    's': 'badc',  # Left and right change places.
    'sr': 'acbd',  # The diagonal from top left to bottom right stays.
    'sr2': 'cdab',  # Top and bottom change places.
    'sr3': 'dbca',  # The diagonal from top right to bottom left stays.
  }


@pytest.mark.parametrize('power, turn', [('sr', 'r'), ('sr2', 'r2'), ('sr3', 'r3')])
def test_names_are_products(power, turn):
  elements = symmetry.group_of(5, 5).elements
  np.testing.assert_array_equal(elements[power], elements[turn][elements['s']])


def test_a_single_tap_has_no_group():
  assert symmetry.group_of(1, 1) is None


@pytest.mark.parametrize('act', [symmetry.orbit, symmetry.symmetrize])
def test_a_single_tap_is_refused(act):
  with pytest.raises(UserError, match='1x1'):
    act(gaussian(1, 1, 8, 8))


def test_a_vector_is_refused():
  with pytest.raises(UserError, match=r'\(9,\)'):
    symmetry.score(gaussian(9))


@pytest.mark.parametrize('h, w', FEW_SIZES)
def test_orbit_is_the_transforms_of_numpy_on_every_single_kernel(h, w):
  kernel = gaussian(h, w, 2, 3).astype(np.float32)
  names = list(with_identity(h, w))
  transforms = {'e': lambda grid: grid, **TRANSFORMS}
  images = np.asarray(symmetry.orbit(kernel))
  for image, name in zip(images, names, strict=True):
    for i, o in itertools.product(range(2), range(3)):
      expected = transforms[name](kernel[:, :, i, o])
      np.testing.assert_array_equal(image[:, :, i, o], expected)


@pytest.mark.parametrize('h, w', FEW_SIZES)
def test_orbit_of_an_image_is_the_orbit_permuted(h, w):
  def members(kernel):
    return sorted(np.asarray(symmetry.orbit(kernel)).reshape(-1, h * w).tolist())

  kernel = gaussian(h, w)
  for image in np.asarray(symmetry.orbit(kernel)):
    assert members(image) == members(kernel)


@pytest.mark.parametrize('h, w', FEW_SIZES)
def test_symmetrize_is_the_orthogonal_projection_on_invariant_kernels(float64, h, w):
  kernel = gaussian(h, w, 4)
  average = np.asarray(symmetry.symmetrize(kernel))
  np.testing.assert_allclose(symmetry.symmetrize(average), average, atol=1e-14)
  for image in np.asarray(symmetry.orbit(average)):
    np.testing.assert_allclose(image, average, atol=1e-14)
  rest = kernel - average
  np.testing.assert_allclose((rest * average).sum((0, 1)), 0, atol=1e-13)
