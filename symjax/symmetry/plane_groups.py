"""Plane groups on feature maps and on the kernels of group convolutions.

A group is a set of elements of D4 (`symjax.symmetry.d4`) about a point, and all
translations. A feature map on it, [batch, height, width, |G|, channels], holds one
plane for each element m, in the order of `PLANE_GROUPS`: what a pattern turned by m
looks like. An element u acts on it by u on the plane and by a permutation of these,
(u f)(y, m) = f(u^-1 y, u^-1 m) (Cohen & Welling, "Group equivariant convolutional
networks", 2016, Eq. 5).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from symjax.errors import UserError
from symjax.symmetry.d4 import IDENTITY, TRANSFORMS, transformed_grid
from symjax.symmetry.transformations import dihedral

# By their crystallographic names: translations; with quarter turns; with mirrors too.
PLANE_GROUPS: dict[str, tuple[str, ...]] = {
  'p1': (IDENTITY,),
  'p4': (IDENTITY, 'r', 'r2', 'r3'),
  'p4m': (IDENTITY, *TRANSFORMS),
}


def elements_of(group: str) -> tuple[str, ...]:
  """The elements about a point, the identity first.

  Raises:
    UserError: `group` is not a key of `PLANE_GROUPS`.
  """
  if group not in PLANE_GROUPS:
    raise UserError(f'unknown group {group!r}; choose from {", ".join(PLANE_GROUPS)}')
  return PLANE_GROUPS[group]


@functools.cache
def quotients(group: str) -> np.ndarray:
  """[|G|, |G|] positions of a^-1 b in the order of the group; a counts the rows."""
  # A 2x2 grid tells all of D4 apart.
  permutations = [transformed_grid(m, 2, 2).reshape(-1) for m in elements_of(group)]
  position = {tuple(p): index for index, p in enumerate(permutations)}
  # The permutation of a product a b is that of b, read at that of a.
  table = np.array(
    [[position[tuple(b[np.argsort(a)])] for b in permutations] for a in permutations],
    np.int32,
  )
  table.setflags(write=False)  # The cache hands out one object.
  return table


def transform_features(x: jax.Array, element: str, group: str) -> jax.Array:
  """The image of a feature map on a group under one of its elements.

  Args:
    x: [batch, height, width, |G|, channels] array.
    element: one of `elements_of(group)`.
    group: a key of `PLANE_GROUPS`.

  Returns:
    [batch, height', width', |G|, channels]; a quarter turn swaps height and width.
  """
  order = quotients(group)[elements_of(group).index(element)]
  return jnp.take(dihedral(element)(x), order, axis=3, mode='clip')


def planar_kernel(kernel: jax.Array, group: str, *, lifting: bool) -> jax.Array:
  """The kernel of the plain convolution that computes a group convolution.

  A lifting kernel is transformed by every element m of the group, to
  psi(m^-1 y) (Cohen & Welling, Eq. 10). A kernel on the group also has its input
  orientations permuted, to psi(m^-1 y, m^-1 m') (Eq. 11).

  Args:
    kernel: [k, k, in, out] if lifting, else [k, k, |G| * in, out], the orientations
      major.
    group: a key of `PLANE_GROUPS`.
    lifting: whether the input is an image, without orientations.

  Returns:
    [k, k, in or |G| * in, |G| * out], one gather of `kernel`'s entries; the
    orientations are major.
  """
  height, width, fan, features = kernel.shape
  entries = _gather_indices(group, height, width, lifting)  # [taps * in, out].
  rows, order = entries.shape
  channels = height * width * fan // rows
  flat = kernel.reshape(rows, channels, features)
  copies = jnp.take(flat, entries, axis=0, mode='clip')
  return copies.swapaxes(1, 2).reshape(height, width, fan, order * features)


@functools.cache
def _gather_indices(group: str, height: int, width: int, lifting: bool) -> np.ndarray:
  """[taps * input orientations, |G|] entries of the kernel that a planar one holds."""
  elements = elements_of(group)
  taps = np.stack([transformed_grid(m, height, width).reshape(-1) for m in elements])
  if lifting:
    entries = taps
  else:
    turned = taps[:, :, None] * len(elements) + quotients(group)[:, None, :]
    entries = turned.reshape(len(elements), -1)
  # JAX remembers constants by identity, and would narrow 64 bits only in some modes.
  indices = entries.T.astype(np.int32)
  indices.setflags(write=False)
  return indices
