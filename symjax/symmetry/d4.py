"""The dihedral group D4 and its subgroups, acting on the taps of a kernel.

The spatial axes come first: every function acts on the first two axes of a
`[h, w, ...]` array, and the others are batch. This is Flax's `HWIO` as it stands.
"""

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from symjax.errors import UserError

# Appendix B of Alsallakh et al., "On symmetries in convolutional weights". `sr` is
# first r and then s.
TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
  'r': lambda grid: np.rot90(grid, -1),  # A quarter turn clockwise.
  'r2': lambda grid: np.rot90(grid, 2),
  'r3': lambda grid: np.rot90(grid, 1),
  's': np.fliplr,
  'sr': np.transpose,
  'sr2': np.flipud,
  'sr3': lambda grid: np.rot90(grid, 2).T,  # The anti-transpose.
}
IDENTITY = 'e'


def transformed_grid(element: str, height: int, width: int) -> np.ndarray:
  """[height', width'] positions in a flattened grid that an element's image reads.

  Args:
    element: 'e' or a key of `TRANSFORMS`.
    height: of the grid.
    width: likewise; a quarter turn swaps the two.

  Raises:
    UserError: no such element.
  """
  if element not in (IDENTITY, *TRANSFORMS):
    raise UserError(
      f'no element {element!r} in D4; choose from {", ".join((IDENTITY, *TRANSFORMS))}'
    )
  grid = np.arange(height * width).reshape(height, width)
  return grid if element == IDENTITY else TRANSFORMS[element](grid)


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
  """The symmetries of an h x w grid, the identity left out.

  Attributes:
    name: `D4` (square), `K4` (rectangle) or `Z2` (line).
    elements: element name -> [h * w] permutation p of the flattened grid, such that
      `kernel.ravel()[p]` is the transformed kernel.
  """

  name: str
  elements: Mapping[str, np.ndarray]

  @property
  def permutations(self) -> np.ndarray:
    """[|T|, h * w] permutations, in the order of `elements`."""
    return np.stack(list(self.elements.values()))


@functools.cache
def group_of(h: int, w: int) -> Group | None:
  """The symmetry group of an h x w kernel.

  Squares have all of D4; rectangles the Klein four-group (half turn and both
  flips); lines only the flip along them. A single tap has none.
  """
  if h == w == 1:
    return None
  if h == w:
    name, members = 'D4', tuple(TRANSFORMS)
  elif h > 1 and w > 1:
    name, members = 'K4', ('r2', 's', 'sr2')
  else:
    name, members = 'Z2', ('s',) if h == 1 else ('sr2',)
  grid = np.arange(h * w).reshape(h, w)
  elements = {}
  for member in members:
    elements[member] = np.array(TRANSFORMS[member](grid).reshape(-1))
    elements[member].setflags(write=False)  # The cache hands out one object.
  return Group(name, types.MappingProxyType(elements))


def acting_group(kernel: jax.Array) -> Group:
  """The group that acts on the first two axes of `kernel`.

  Raises:
    UserError: `kernel` has fewer than two axes, or a single tap.
  """
  if jnp.ndim(kernel) < 2:
    raise UserError(
      f'a kernel has its two spatial axes first, [h, w, ...]; '
      f'this one has shape {jnp.shape(kernel)}'
    )
  h, w = jnp.shape(kernel)[:2]
  group = group_of(h, w)
  if group is None:
    raise UserError('a 1x1 kernel has no symmetry to measure; give it h or w above 1')
  return group


def orbit(kernel: jax.Array) -> jax.Array:
  """All images of `kernel` under its group.

  Args:
    kernel: [h, w, ...] array.

  Returns:
    [|G|, h, w, ...] array: `kernel` itself, then its images in the order of
    `Group.elements`.

  Raises:
    UserError: `kernel` is 1x1 or has no two axes.
  """
  group = acting_group(kernel)
  kernel = jnp.asarray(kernel)
  flat = kernel.reshape(-1, *kernel.shape[2:])
  identity = np.arange(flat.shape[0])[None]
  permutations = np.concatenate([identity, group.permutations])
  images = jnp.take(flat, permutations, axis=0, mode='clip')
  return images.reshape(-1, *kernel.shape)


def symmetrize(kernel: jax.Array) -> jax.Array:
  """[h, w, ...] group average of `kernel`: its projection on the symmetric kernels.

  Raises:
    UserError: `kernel` is 1x1 or has no two axes.
  """
  return orbit(kernel).mean(axis=0)
