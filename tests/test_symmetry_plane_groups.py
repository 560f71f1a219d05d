"""Plane groups: their tables and actions, against 2x2 matrices."""

import itertools

import numpy as np
import pytest

from symjax import symmetry
from symjax.errors import UserError
from symjax.symmetry.plane_groups import elements_of, quotients
from symjax.symmetry.transformations import dihedral

# On (down, right): r, a clockwise quarter turn, takes up to right; s, left to right.
R, S = np.array([[0, 1], [-1, 0]]), np.array([[1, 0], [0, -1]])
MATRICES = {
  's' * mirrored + (f'r{turns}' if turns > 1 else 'r' * turns) or 'e': (
    np.linalg.matrix_power(S, mirrored) @ np.linalg.matrix_power(R, turns)
  )
  for mirrored, turns in itertools.product(range(2), range(4))
}
GROUPS = tuple(symmetry.PLANE_GROUPS)


def gaussian(*shape):
  return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def index_of(matrix, elements):
  (index,) = (i for i, m in enumerate(elements) if (MATRICES[m] == matrix).all())
  return index


@pytest.mark.parametrize('group, order', [('p1', 1), ('p4', 4), ('p4m', 8)])
def test_quotients_are_those_of_matrices(group, order):
  elements = elements_of(group)
  assert len(set(elements)) == order and elements[0] == 'e'
  expected = [
    [index_of(MATRICES[a].T @ MATRICES[b], elements) for b in elements]
    for a in elements
  ]
  np.testing.assert_array_equal(quotients(group), expected)


@pytest.mark.parametrize('element', MATRICES)
@pytest.mark.parametrize('size', [(5, 5), (4, 4), (3, 5)])
def test_a_map_is_moved_as_its_matrix_moves_points(element, size):
  """f(u^-1 y), with pixels' positions measured from the middle of each map."""
  x = gaussian(2, *size, 3)
  moved = np.asarray(dihedral(element)(x))
  middle, new_middle = (np.array(m.shape[1:3]) - 1 for m in (x, moved))
  for y in np.ndindex(moved.shape[1:3]):
    # Doubled, for the half pixels of even sizes.
    source = MATRICES[element].T @ (2 * np.array(y) - new_middle) + middle
    np.testing.assert_array_equal(moved[:, *y], x[:, *(source // 2)])


@pytest.mark.parametrize('group', GROUPS)
def test_actions_compose_as_the_group_does(group):
  x = gaussian(1, 3, 4, len(elements_of(group)), 2)
  elements = elements_of(group)
  for a, b in itertools.product(elements, repeat=2):
    product = elements[index_of(MATRICES[a] @ MATRICES[b], elements)]
    twice = symmetry.transform_features(
      symmetry.transform_features(x, b, group), a, group
    )
    np.testing.assert_array_equal(twice, symmetry.transform_features(x, product, group))


def test_the_plane_of_an_element_moves_to_that_of_the_product():
  """(u f)(y, u m) = f(u^-1 y, m)."""
  elements = elements_of('p4m')
  x = gaussian(1, 3, 3, 8, 1)
  for u, (position, m) in itertools.product(elements, enumerate(elements)):
    moved = np.asarray(symmetry.transform_features(x, u, 'p4m'))
    to = index_of(MATRICES[u] @ MATRICES[m], elements)
    expected = dihedral(u)(x[:, :, :, position])
    np.testing.assert_array_equal(moved[:, :, :, to], expected)


@pytest.mark.parametrize('group', GROUPS)
def test_a_lifting_kernel_is_unfolded_to_its_orbit(group):
  kernel = gaussian(3, 3, 2, 5)
  planar = np.asarray(symmetry.planar_kernel(kernel, group, lifting=True))
  order = len(elements_of(group))
  assert planar.shape == (3, 3, 2, order * 5)
  orbit = np.asarray(symmetry.orbit(kernel))
  for index, image in enumerate(orbit[:order]):
    np.testing.assert_array_equal(planar[..., 5 * index : 5 * (index + 1)], image)


@pytest.mark.parametrize('lifting', [True, False])
def test_the_mean_of_an_unfolded_kernel_is_symmetric(lifting):
  kernel = gaussian(3, 3, 16, 4)
  planar = symmetry.planar_kernel(kernel, 'p4m', lifting=lifting)
  assert symmetry.score(symmetry.mean_kernel(kernel)) < 0.9
  assert symmetry.score(symmetry.mean_kernel(planar)) == pytest.approx(1, abs=1e-5)


def test_an_unknown_group_is_refused():
  with pytest.raises(UserError, match="unknown group 'p6'; choose from p1, p4, p4m"):
    symmetry.planar_kernel(gaussian(3, 3, 1, 1), 'p6', lifting=True)
