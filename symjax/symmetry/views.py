"""Pairs of views whose predictions should agree: flips and turns, crops, rolls.

Offsets and shifts that are drawn are arrays, one pair an image, so that one compiled
function serves whatever was drawn; those that are stated are plain numbers.
"""

import jax
import jax.numpy as jnp
from jax import lax

from symjax.errors import UserError
from symjax.symmetry.consistency import Views
from symjax.symmetry.transformations import dihedral

_INVERSES = {'r': 'r3', 'r3': 'r'}  # The other elements of D4 are their own.


def moved(element: str) -> Views:
  """The image and the image under an element of D4.

  Args:
    element: a name of `symjax.symmetry.d4.TRANSFORMS`: `s` flips left-right, `sr2`
      up-down, `r` is a quarter turn clockwise.

  Raises:
    UserError: no such element.
  """
  return Views(dihedral(element), inverse=dihedral(_INVERSES.get(element, element)))


def crop_shift(first: jax.Array, second: jax.Array, size: tuple[int, int]) -> Views:
  """Two windows on one scene, which is larger than they are.

  What the windows show at their borders is real on both sides: nothing is padded, and
  nothing that leaves comes back. They agree where they overlap.

  Args:
    first: int [batch, 2] offsets (down, right) of the first windows, in pixels of the
      scene; a window must lie within it.
    second: int [batch, 2] offsets of the second ones.
    size: [height, width] of the windows; predictions of pixels have the same.
  """
  step = first - second  # Pixel p of the first window is p + step of the second.

  def inverse(predictions: jax.Array) -> jax.Array:
    _require_size(predictions, size)
    return roll_each(predictions, -step)

  def valid(predictions: jax.Array) -> jax.Array:
    del predictions
    return _in_view(step, size)

  return Views(
    transform=lambda scenes: windows(scenes, second, size),
    inverse=inverse,
    valid=valid,
    reference=lambda scenes: windows(scenes, first, size),
  )


def shifted(shift: tuple[int, int], size: tuple[int, int], fill: str = 'edge') -> Views:
  """The middle of a scene, and what a window of the same size sees of it after a shift.

  A scene that is larger than the window has real pixels to move in. Of one that is not,
  such as an image of the window's own size, the strip that is vacated is filled; every
  pixel of the first view is real, so that what is filled is compared with nothing.

  Args:
    shift: (down, right) by which the content moves, in pixels, of either sign.
    size: [height, width] of the windows; predictions of pixels have the same.
    fill: mode of `jnp.pad`: 'edge' repeats the border, 'constant' is 0, which in
      normalised images is the mean colour, 'wrap' shifts circularly.

  Raises:
    UserError: the shift leaves nothing in view; later, scenes smaller than the window.
  """
  if any(abs(step) >= side for step, side in zip(shift, size, strict=True)):
    raise UserError(
      f'a shift by {shift[0]},{shift[1]} (down,right) leaves nothing of '
      f'{size[0]}x{size[1]} pixels in view; the largest possible is '
      f'{size[0] - 1},{size[1] - 1}'
    )

  def inverse(predictions: jax.Array) -> jax.Array:
    _require_size(predictions, size)
    return jnp.roll(predictions, (-shift[0], -shift[1]), axis=(1, 2))

  def valid(predictions: jax.Array) -> jax.Array:
    del predictions
    return _in_view(jnp.asarray([shift], jnp.int32), size)

  return Views(
    transform=lambda scenes: _moved_window(scenes, shift, size, fill),
    inverse=inverse,
    valid=valid,
    reference=lambda scenes: _moved_window(scenes, (0, 0), size, fill),
  )


def circular_shift(first: jax.Array, second: jax.Array, size: tuple[int, int]) -> Views:
  """The image moved by two shifts; what leaves on one side enters on the other.

  This is not what `crop_shift` measures. A network whose own borders are circular can
  be perfect here; no photograph goes on circularly, and others see a seam.

  Args:
    first: int [batch, 2] shifts (down, right), in pixels.
    second: likewise.
    size: [height, width] of the images; predictions of pixels have the same.
  """

  def inverse(predictions: jax.Array) -> jax.Array:
    _require_size(predictions, size)
    return roll_each(predictions, first - second)

  return Views(
    transform=lambda images: roll_each(images, second),
    inverse=inverse,
    reference=lambda images: roll_each(images, first),
  )


def windows(scenes: jax.Array, offsets: jax.Array, size: tuple[int, int]) -> jax.Array:
  """[batch, *size, ...] windows on scenes [batch, height, width, ...].

  Args:
    scenes: one each.
    offsets: int [batch, 2], (down, right).
    size: [height, width] of a window.
  """

  def window(scene: jax.Array, offset: jax.Array) -> jax.Array:
    rest = scene.shape[2:]
    start = [offset[0], offset[1]] + [0] * len(rest)
    return lax.dynamic_slice(scene, start, (*size, *rest))

  return jax.vmap(window)(scenes, offsets)


def extended(images: jax.Array, margins: tuple[int, int]) -> jax.Array:
  """Scenes in which the images lie in the middle, and go on as their edges do.

  Args:
    images: [batch, height, width, ...].
    margins: by how many pixels a scene is higher and wider; of an odd one the lower or
      right end has the larger half.
  """
  widths = [(margin // 2, margin - margin // 2) for margin in margins]
  rest = [(0, 0)] * (images.ndim - 3)
  return jnp.pad(images, [(0, 0), *widths, *rest], mode='edge')


def roll_each(maps: jax.Array, shifts: jax.Array) -> jax.Array:
  """[batch, height, width, ...] maps, each rolled (down, right) by its own shift.

  Args:
    maps: to roll.
    shifts: int [batch, 2], of either sign.
  """
  return jax.vmap(lambda m, shift: jnp.roll(m, shift, axis=(0, 1)))(maps, shifts)


def _in_view(steps: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Bool [n, *size]: pixels that are within `size` after steps int [n, 2]."""
  down, right = (
    jnp.arange(side)[None, :] + steps[:, axis, None] for axis, side in enumerate(size)
  )
  inside = [
    (place >= 0) & (place < side)
    for place, side in zip((down, right), size, strict=True)
  ]
  return inside[0][:, :, None] & inside[1][:, None, :]


def _moved_window(
  scenes: jax.Array, shift: tuple[int, int], size: tuple[int, int], fill: str
) -> jax.Array:
  """[batch, *size, ...] the middle of scenes whose content has moved by `shift`."""
  _, *sides = scenes.shape[:3]
  if any(side < kept for side, kept in zip(sides, size, strict=True)):
    raise UserError(
      f'scenes of {sides[0]}x{sides[1]} pixels are smaller than a window of '
      f'{size[0]}x{size[1]}'
    )
  widths, kept = [(0, 0)], [slice(None)]
  for side, step, length in zip(sides, shift, size, strict=True):
    start = (side - length) // 2 - step
    before, after = max(-start, 0), max(start + length - side, 0)
    widths.append((before, after))
    kept.append(slice(start + before, start + before + length))
  rest = [(0, 0)] * (scenes.ndim - 3)
  return jnp.pad(scenes, [*widths, *rest], mode=fill)[tuple(kept)]


def _require_size(predictions: jax.Array, size: tuple[int, int]) -> None:
  if predictions.shape[1:3] != size:
    raise UserError(
      f'predictions of {predictions.shape[1]}x{predictions.shape[2]} pixels on images '
      f'of {size[0]}x{size[1]}: resize them to the images, pixel for pixel'
    )
