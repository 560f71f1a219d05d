"""Transformations of maps [batch, height, width, ...] and of sets.

Each function returns a transformation: a function from arrays to arrays that can
stand on either side of `equivariance_error`. Maps that are smaller by a stride k move
by k times fewer pixels.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from symjax.errors import UserError
from symjax.symmetry.d4 import transformed_grid
from symjax.symmetry.score import widen

Transformation = Callable[[jax.Array], jax.Array]


def identity(x: jax.Array) -> jax.Array:
  """`x` itself: as transform_out it asks for invariance."""
  return x


def circular_translation(
  shift: tuple[int, int], image_size: tuple[int, int] | None = None
) -> Transformation:
  """Moves maps by `shift`; what leaves on one side enters on the other.

  Args:
    shift: (down, right), in pixels.
    image_size: [height, width] of the images that `shift` is meant for; a smaller map
      then moves in proportion, as behind a stride, and must do so by whole pixels.
      Without it every map moves by `shift`.

  Returns:
    A transformation; it raises UserError where the shift of a map is not whole.
  """

  def transform(x: jax.Array) -> jax.Array:
    return jnp.roll(x, _in_proportion(shift, x, image_size), axis=(1, 2))

  return transform


def cropped_translation(
  shift: tuple[int, int], image_size: tuple[int, int] | None = None
) -> Transformation:
  """Moves the window on a larger map: its first rows and columns are dropped.

  With s * k on the input and s on the output of total stride k, the two sides of
  `equivariance_error` are the overlap of two windows on one scene. Where the windows
  end the networks see different borders; `region` can leave that out.

  Args:
    shift: (down, right), in pixels. Only forwards: dropping the last rows would leave
      the grid of a strided layer where it was, and so test nothing; flip the images
      for the other directions.
    image_size: as for `circular_translation`.

  Raises:
    UserError: a negative shift; later, one that leaves nothing of the map.
  """
  _require_forwards('cropped', shift)

  def transform(x: jax.Array) -> jax.Array:
    down, right = _in_proportion(shift, x, image_size)
    if down >= x.shape[1] or right >= x.shape[2]:
      raise UserError(
        f'shift {shift} leaves nothing of a {x.shape[1]}x{x.shape[2]} map'
      )
    return x[:, down:, right:]

  return transform


def filled_translation(
  shift: tuple[int, int], image_size: tuple[int, int] | None = None
) -> Transformation:
  """Moves maps by `shift`; the strips left behind repeat their first row and column.

  A window moves on a scene that goes on as the map's edge does, and keeps its size, as
  a network with a dense layer on its map needs. Compare on what both windows see: with
  `cropped_translation` of the same shift as `region`.

  Args:
    shift: (down, right), in pixels.
    image_size: as for `circular_translation`.

  Raises:
    UserError: a negative shift.
  """
  _require_forwards('filled', shift)

  def transform(x: jax.Array) -> jax.Array:
    down, right = _in_proportion(shift, x, image_size)
    rest = [(0, 0)] * (x.ndim - 3)
    scene = jnp.pad(x, [(0, 0), (down, 0), (right, 0), *rest], mode='edge')
    return scene[:, : x.shape[1], : x.shape[2]]

  return transform


def dihedral(element: str) -> Transformation:
  """Moves the pixels of maps by an element of D4; a quarter turn swaps the sides.

  Args:
    element: 'e', the identity, or a name of `symjax.symmetry.d4.TRANSFORMS`: `r` is a
      quarter turn clockwise, `s` flips left-right, `sr` is the transpose.

  Raises:
    UserError: no such element.
  """
  transformed_grid(element, 1, 1)  # Refused here, and not where it is first used.

  def transform(x: jax.Array) -> jax.Array:
    batch, height, width, *rest = x.shape
    moved = transformed_grid(element, height, width)
    pixels = x.reshape(batch, height * width, *rest)
    pixels = jnp.take(pixels, moved.reshape(-1), axis=1, mode='clip')
    return pixels.reshape(batch, *moved.shape, *rest)

  return transform


def rotation(degrees: float) -> Transformation:
  """Turns maps about their centre, clockwise, by bilinear interpolation.

  Any angle is taken; what comes from outside the map is 0, so compare on `disc`. The
  interpolation itself blurs: no function but a pointwise linear one commutes with it
  exactly.
  """
  angle = np.deg2rad(degrees)

  def transform(x: jax.Array) -> jax.Array:
    rows, columns = turned_places(x.shape[1], x.shape[2], np.cos(angle), np.sin(angle))
    wide = widen(x)
    # A quarter turn's coordinates are whole up to rounding: keep those of the border.
    at = [jnp.asarray(np.round(c, 9), wide.dtype) for c in (rows, columns)]
    planes = wide.reshape(*x.shape[:3], -1)
    turned = jax.vmap(jax.vmap(functools.partial(sample, at)), 3, 3)(planes)
    return turned.reshape(x.shape).astype(x.dtype)

  return transform


def turned_places(
  height: int, width: int, cosine: ArrayLike, sine: ArrayLike
) -> tuple[Any, Any]:
  """Where the pixels of a map that is turned clockwise about its centre come from.

  Args:
    height: of the map.
    width: of the map.
    cosine: of the angle; a NumPy or a JAX number, as the result's arrays are.
    sine: of the angle.

  Returns:
    Rows and columns, [height, width] each.
  """
  down, right = _from_centre(height, width)
  # Content moves clockwise, so a pixel reads from the anticlockwise side.
  rows = cosine * down - sine * right + (height - 1) / 2
  columns = sine * down + cosine * right + (width - 1) / 2
  return rows, columns


def sample(places: Sequence[jax.Array], plane: jax.Array) -> jax.Array:
  """Bilinear interpolation of [height, width] at (rows, columns); 0 outside of it."""
  return jax.scipy.ndimage.map_coordinates(plane, list(places), order=1)


def disc(x: jax.Array) -> jax.Array:
  """`x`, zero outside the largest disc about the centre: what turning keeps inside."""
  down, right = _from_centre(x.shape[1], x.shape[2])
  inside = np.hypot(down, right) <= (min(x.shape[1:3]) - 1) / 2
  inside = inside.reshape(1, *inside.shape, *(1,) * (x.ndim - 3))
  return jnp.where(inside, x, jnp.zeros((), x.dtype))


def brightness(scale: float = 1.0, offset: float = 0.0) -> Transformation:
  """Every entry times `scale`, plus `offset`."""
  return lambda x: x * scale + offset


def permutation(order: Sequence[int], axis: int = 1) -> Transformation:
  """Puts the members of a set in another order.

  Args:
    order: entry i is the old place of the new i-th member.
    axis: where the set is; 1 in [batch, tokens, channels].

  Raises:
    UserError: `order` is not a permutation; later, one of another length than `axis`.
  """
  places = np.asarray(order)
  if sorted(places.tolist()) != list(range(len(places))):
    raise UserError(f'{list(order)} is not a permutation of 0 ... {len(places) - 1}')

  def transform(x: jax.Array) -> jax.Array:
    if x.shape[axis] != len(places):
      raise UserError(
        f'a permutation of {len(places)} does not fit axis {axis} of shape {x.shape}'
      )
    return jnp.take(x, places, axis=axis, mode='clip')

  return transform


def _in_proportion(
  shift: tuple[int, int], x: jax.Array, image_size: tuple[int, int] | None
) -> tuple[int, int]:
  """By how many pixels a map moves where images of `image_size` move by `shift`.

  Raises:
    UserError: not by whole ones.
  """
  if image_size is None:
    return shift
  steps = []
  for axis in (0, 1):
    step, rest = divmod(shift[axis] * x.shape[axis + 1], image_size[axis])
    if rest:
      raise UserError(
        f'{shift[axis]} of {image_size[axis]} pixels are not a whole number of pixels '
        f'on a {x.shape[1]}x{x.shape[2]} map; shift by a multiple of the stride, and '
        f'use sizes that it divides'
      )
    steps.append(step)
  return steps[0], steps[1]


def _require_forwards(kind: str, shift: tuple[int, int]) -> None:
  if min(shift) < 0:
    raise UserError(f'{kind} shift {shift}: give (down, right) >= 0, or flip the maps')


def _from_centre(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
  """[height, width] offsets (down, right) of every pixel from the map's centre."""
  down, right = np.mgrid[:height, :width].astype(float)
  return down - (height - 1) / 2, right - (width - 1) / 2
