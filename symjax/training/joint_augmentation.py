"""Augmentation of an image together with its label map, inside the jitted step."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from symjax.errors import UserError

_ONE = 256  # Weights of resampling are parts of it.


@dataclasses.dataclass(frozen=True)
class JointAugmentation:
  """Random flips, scales, crops and shifts that labels follow, keyed by image.

  An image is resized, seen through a window at a random place, then mirrored. Images
  are resized bilinearly, with an antialiasing filter where they shrink; labels take the
  nearest pixel. At scale 1 both only move by whole pixels.

  Attributes:
    flip: mirror left-right with probability 1/2.
    scale: the least and the greatest factor of the sides; uniform in between. Sides
      are rounded to whole pixels.
    crop: [height, width] of the window, and so of the result; None is that of the
      images. It lies anywhere in a larger image, or anywhere around a smaller one,
      with equal probability, whichever is the case in each direction. Of a larger image
      it avoids, as far as it can, the rows at the bottom and the columns at the right
      that are ignored as a whole: so `symjax.data.canvas` fills up images.
    shift: by how many pixels more the window may lie to any side, and leave the image.
    ignore_label: label of pixels outside of the image; None where there are none to be.
    fill: colour of pixels outside, per channel, of pixels scaled to [0, 1]; None is
      black.
  """

  flip: bool = False
  scale: tuple[float, float] = (1.0, 1.0)
  crop: tuple[int, int] | None = None
  shift: int = 0
  ignore_label: int | None = None
  fill: tuple[float, ...] | None = None

  def __post_init__(self) -> None:
    if not _are_numbers(self.scale) or not 0 < self.scale[0] <= self.scale[1]:
      raise UserError(
        f'augmentation.scale={self.scale}; give the least and the greatest factor, '
        'both positive'
      )
    if self.crop is not None and not (
      _are_numbers(self.crop)
      and all(isinstance(side, int) for side in self.crop)
      and min(self.crop) >= 1
    ):
      raise UserError(
        f'augmentation.crop={self.crop}; give height and width, whole numbers of pixels'
      )
    if self.shift < 0:
      raise UserError(f'augmentation.shift={self.shift} pixels; it is 0 or more')

  def output_shape(self, image_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """[height, width, channels] of the result for images of `image_shape`."""
    height, width = self.crop or image_shape[:2]
    return (height, width, image_shape[2])

  def __call__(
    self, key: jax.Array, images: jax.Array, labels: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Images and labels of `output_shape`, each pair drawn with its own key.

    Args:
      key: of the step. Pair i uses `fold_in(key, i)`, so what happens to it depends
        neither on the number of devices nor on its neighbours.
      images: uint8 [batch, height, width, channels].
      labels: uint8 [batch, height, width].

    Raises:
      UserError: windows would leave images, and there is no label for what is outside;
        or another number of channels than in `fill`.
    """
    shape = images.shape[1:]
    window = self.output_shape(shape)
    fill = self.fill or (0.0,) * shape[2]
    if len(fill) != shape[2]:
      raise UserError(
        f'augmentation fills with a colour of {len(fill)} channels images of {shape[2]}'
      )
    smallest = [round(self.scale[0] * side) for side in shape[:2]]
    leaves = self.shift > 0 or smallest[0] < window[0] or smallest[1] < window[1]
    if leaves and self.ignore_label is None:
      raise UserError(
        'augmentation would pad images, and this data set has no label for pixels to '
        'ignore: use no shift, no scale below 1, and no crop larger than the images'
      )
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(images)))
    return jax.vmap(self._augment)(keys, images, labels)

  def _augment(
    self, key: jax.Array, image: jax.Array, labels: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    flip, scale, row, column = jax.random.uniform(key, (4,), jnp.float32)
    low, high = self.scale
    factor = low + scale * (high - low)
    height, width, _ = self.output_shape(image.shape)
    counted = jnp.ones(labels.shape, bool)
    if self.ignore_label is not None:
      counted = labels != self.ignore_label
    rows = _window(row, counted.any(1), factor, height, self.shift)
    columns = _window(column, counted.any(0), factor, width, self.shift)
    inside = rows.inside[:, None] & columns.inside[None, :]
    if low == high == 1:
      image = image[rows.nearest][:, columns.nearest]
    else:
      image = _resample(image, rows, columns)
    fill = jnp.rint(255 * jnp.asarray(self.fill or (0.0,) * image.shape[2]))
    image = jnp.where(inside[:, :, None], image, fill.astype(jnp.uint8)[None, None, :])
    labels = labels[rows.nearest][:, columns.nearest]
    ignore = jnp.asarray(self.ignore_label or 0, labels.dtype)
    labels = jnp.where(inside, labels, ignore)
    if self.flip:
      image = jnp.where(flip < 0.5, image[:, ::-1], image)
      labels = jnp.where(flip < 0.5, labels[:, ::-1], labels)
    return image, labels


def _are_numbers(pair: tuple[Any, ...]) -> bool:
  """Whether it is a pair of finite numbers: what stands in a config may be anything."""
  return len(pair) == 2 and all(
    isinstance(value, int | float) and math.isfinite(value) for value in pair
  )


class _Window(NamedTuple):
  """A window on a resized image, in one direction; all in whole numbers.

  Attributes:
    centres: [length] of the window's pixels, from the image's edge, in units of
      1 / (2 resized) of the image's pixels.
    resized: how many pixels the resized image has.
    inside: [length] whether a pixel of the window lies in it.
    nearest: [length] the image's pixel that holds each centre, or is the nearest one.
  """

  centres: jax.Array
  resized: jax.Array
  inside: jax.Array
  nearest: jax.Array


def _window(
  place: jax.Array, counted: jax.Array, factor: jax.Array, length: int, shift: int
) -> _Window:
  """A window of `length` pixels on the side of an image.

  Args:
    place: uniform in [0, 1): which of the places that it may have.
    counted: [side] whether any pixel of a row, or of a column, is not ignored.
    factor: by which the image is resized.
    length: of the window, in pixels.
    shift: by how many pixels more it may lie to either side.
  """
  side = len(counted)
  resized = jnp.maximum(jnp.rint(factor * side).astype(jnp.int32), 1)
  last = jnp.where(counted, jnp.arange(1, side + 1), 0).max()
  # Up to where there is something to see, but never so little as to leave the image.
  extent = jnp.maximum(
    (last * resized + side - 1) // side, jnp.minimum(resized, length)
  )
  slack = extent - length
  least, most = jnp.minimum(slack, 0) - shift, jnp.maximum(slack, 0) + shift
  count = (most - least + 1).astype(place.dtype)
  start = least + jnp.floor(place * count).astype(jnp.int32)
  places = start + jnp.arange(length)
  centres = (2 * places + 1) * side
  inside = (places >= 0) & (places < resized)
  nearest = (centres // (2 * resized)).clip(0, side - 1)
  return _Window(centres, resized, inside, nearest)


def _resample(image: jax.Array, rows: _Window, columns: _Window) -> jax.Array:
  """The window's pixels, uint8 [height, width, channels]; of no meaning outside.

  All numbers on the way are whole and below 2**24, so float32 holds them exactly, and
  the result does not depend on the order of a sum, nor on the number of devices.
  """
  pixels = jnp.einsum(
    'ih,jw,hwc->ijc',
    _taps(rows, image.shape[0]),
    _taps(columns, image.shape[1]),
    image.astype(jnp.float32),
    precision=jax.lax.Precision.HIGHEST,
  )
  return jnp.rint(pixels / _ONE**2).astype(jnp.uint8)


def _taps(window: _Window, side: int) -> jax.Array:
  """Weight of each of the image's pixels in each of the window's, [length, side].

  They are those of linear interpolation, of a triangle as wide as a pixel of the
  coarser of image and window, in whole parts of `_ONE`, which is their sum.
  """
  pixels = (2 * jnp.arange(side) + 1) * window.resized
  reach = 2 * jnp.maximum(window.resized, side)
  distances = jnp.abs(window.centres[:, None] - pixels[None, :])
  sums = jnp.cumsum(jnp.maximum(reach - distances, 0), axis=1)
  totals = jnp.maximum(sums[:, -1:], 1)
  # Sums are rounded, not weights, so that an even surface keeps its colour.
  rounded = (2 * _ONE * sums + totals) // (2 * totals)
  return jnp.diff(rounded, axis=1, prepend=0).astype(jnp.float32)
