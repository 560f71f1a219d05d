"""How the energy of a kernel splits over the irreducible representations.

The score says how far a kernel is from symmetric; this says in which way. Uneven
padding, for one, gives a skew that is odd under the half turn, and so lies in E.
"""

import jax
import jax.numpy as jnp

from symjax.symmetry.d4 import acting_group, orbit
from symjax.symmetry.score import is_zero, unit_kernel

# Characters in the order of `orbit`: the identity, then `Group.elements`. Mulliken's
# names: B1 of C4v is even under flips and odd under diagonals; B1 of C2v changes
# sign as the horizontal coordinate does, B2 as the vertical one.
CHARACTERS: dict[str, dict[str, tuple[int, ...]]] = {
  'D4': {  # e, r, r2, r3, s, sr, sr2, sr3
    'A1': (1, 1, 1, 1, 1, 1, 1, 1),
    'A2': (1, 1, 1, 1, -1, -1, -1, -1),
    'B1': (1, -1, 1, -1, 1, -1, 1, -1),
    'B2': (1, -1, 1, -1, -1, 1, -1, 1),
    'E': (2, 0, -2, 0, 0, 0, 0, 0),
  },
  'K4': {  # e, r2, s, sr2
    'A1': (1, 1, 1, 1),
    'A2': (1, 1, -1, -1),
    'B1': (1, -1, -1, 1),
    'B2': (1, -1, 1, -1),
  },
  'Z2': {'even': (1, 1), 'odd': (1, -1)},
}


def irrep_energies(kernel: jax.Array) -> dict[str, jax.Array]:
  """The share of ||K||^2 in each isotypic component of the kernel's group.

  By characters: the component of K in irrep i is P_i K = (d_i / |G|) sum_g chi_i(g) gK.
  The shares sum to 1; the share of A1 (or `even`) is that of `symmetrize(kernel)`.

  Args:
    kernel: [h, w, ...] array.

  Returns:
    irrep name -> [...] array in [0, 1]: A1, A2, B1, B2, E for squares (D4 = C4v);
    A1, A2, B1, B2 for rectangles (K4 = C2v); even, odd for lines (Z2). NaN for a
    zero or non-finite kernel.

  Raises:
    UserError: `kernel` is 1x1 or has no two axes.
  """
  zero = is_zero(kernel)
  images = orbit(unit_kernel(kernel))
  energies = {}
  for irrep, characters in CHARACTERS[acting_group(kernel).name].items():
    weights = jnp.asarray(characters, images.dtype) * (characters[0] / len(characters))
    component = jnp.tensordot(weights, images, axes=1)
    energy = jnp.square(component).sum(axis=(0, 1))
    energies[irrep] = jnp.where(zero, jnp.nan, energy)
  return energies
