"""The energy split: a resolution of the identity, and invariant."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjax import symmetry
from symjax.symmetry.irreps import CHARACTERS

SIZES = [(3, 3), (4, 4), (3, 5), (1, 7)]

irrep_energies = jax.jit(symmetry.irrep_energies)


def gaussian(*shape):
  """In float64, which JAX narrows unless the test runs in `float64`."""
  return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize('name', CHARACTERS)
def test_characters_are_orthonormal(name):
  table = np.array(list(CHARACTERS[name].values()))
  order = table.shape[1]
  np.testing.assert_array_equal(table @ table.T, order * np.eye(len(table)))
  assert (table[:, 0] ** 2).sum() == order  # Burnside: the table is complete.


@pytest.mark.parametrize('h, w', SIZES)
def test_energies_sum_to_one_and_ignore_the_group(float64, h, w):
  kernel = gaussian(h, w, 3)
  images = jnp.moveaxis(symmetry.orbit(kernel), 0, -1)
  energies = {name: np.asarray(e) for name, e in irrep_energies(-3 * images).items()}
  np.testing.assert_allclose(sum(energies.values()), 1, rtol=1e-12)
  for energy in energies.values():
    assert energy.shape == (3, images.shape[-1]) and (energy >= 0).all()
    of_first = energy[:, :1].repeat(energy.shape[1], axis=1)
    np.testing.assert_allclose(energy, of_first, atol=1e-12)


@pytest.mark.parametrize('h, w', SIZES)
def test_trivial_energy_is_that_of_the_group_average(float64, h, w):
  kernel = gaussian(h, w)
  trivial = next(iter(irrep_energies(kernel).values()))
  share = (symmetry.symmetrize(kernel) ** 2).sum() / (kernel**2).sum()
  np.testing.assert_allclose(trivial, share, rtol=1e-12)


@pytest.mark.parametrize('h, w', SIZES)
def test_trivial_energy_follows_from_the_distances(float64, h, w):
  # d^2 = 2 - 2 <gK, K>, and <gK, K> sums to |G| times the trivial energy.
  kernel = gaussian(h, w)
  squares = np.square(list(symmetry.distances(kernel).values()))
  trivial = next(iter(irrep_energies(kernel).values()))
  overlap = (1 + (1 - squares / 2).sum()) / (len(squares) + 1)
  np.testing.assert_allclose(trivial, overlap, rtol=1e-12)


ROW, COLUMN = np.mgrid[-2:3, -2:3].astype(np.float32)


@pytest.mark.parametrize(
  'kernel, irrep',
  [
    (ROW**2 + COLUMN**2, 'A1'),
    (ROW * COLUMN * (ROW**2 - COLUMN**2), 'A2'),
    (COLUMN**2 - ROW**2, 'B1'),
    (ROW * COLUMN, 'B2'),
    (COLUMN, 'E'),
    (2 * ROW - COLUMN, 'E'),
    (COLUMN[1:4], 'B1'),
    (ROW[1:4], 'B2'),
    ((ROW * COLUMN)[1:4], 'A2'),
    (COLUMN[:1], 'odd'),
    (COLUMN[:1] ** 2, 'even'),
  ],
)
def test_basis_functions_lie_in_their_irrep(kernel, irrep):
  energies = irrep_energies(jnp.asarray(kernel))
  for name, energy in energies.items():
    np.testing.assert_allclose(energy, name == irrep, atol=1e-6)


def test_random_kernels_split_by_dimension(float64):
  # 9 = 3 A1 + 1 B1 + 1 B2 + 2 x 2 E: each tap of white noise has 1/9 of the energy.
  energies = irrep_energies(gaussian(3, 3, 40_000))
  means = {name: float(energy.mean()) * 9 for name, energy in energies.items()}
  expected = {'A1': 3, 'A2': 0, 'B1': 1, 'B2': 1, 'E': 4}
  assert means == pytest.approx(expected, abs=0.05)


def test_zero_kernel_has_no_split():
  assert all(np.isnan(e) for e in irrep_energies(jnp.zeros((3, 3))).values())
