"""Max-pooling that remembers where its maxima were, and unpooling back to there.

The pooling indices of SegNet (arXiv:1505.07293). A map is tiled by 2x2 windows; one
with an odd side has a last row or column of tiles that are cut in half, as Caffe's
pooling has, which rounds sizes up. A maximum is remembered by its place in its tile: to
read it is a choice among four pixels, without a gather, and to put it back is the
transpose of that, without a scatter.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from symjax.errors import UserError
from symjax.nn.window import Window

_SIDE = 2


class IndexedMaxPool(nn.Module):
  """The maximum of each 2x2 tile, and where in the tile it is."""

  def window(self, size: tuple[int, int]) -> Window:
    """The tiles of a map of `size` [height, width]; cut ones read a border."""
    tile = (_SIDE, _SIDE)
    return Window(tile, tile, ((0, size[0] % _SIDE), (0, size[1] % _SIDE)))

  @nn.compact
  def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Pools [batch, height, width, channels].

    Returns:
      The maxima [batch, ceil(height / 2), ceil(width / 2), channels], and their
      positions, as in `max_positions`, of the same shape. The gradient of a maximum
      goes to its position alone.
    """
    positions = max_positions(x)
    return take(x, positions), positions


class MaxUnpool(nn.Module):
  """Puts values where an `IndexedMaxPool` found its maxima, and zeros elsewhere."""

  @nn.compact
  def __call__(
    self, values: jax.Array, positions: jax.Array, size: tuple[int, int]
  ) -> jax.Array:
    """The map [batch, height, width, channels] that has `values` at `positions`.

    Args:
      values: [batch, ceil(height / 2), ceil(width / 2), channels].
      positions: of the same shape, from the pooling.
      size: [height, width] of the map that was pooled.

    Raises:
      UserError: a map of that size has another number of tiles.
    """
    return place(values, positions, size)


def max_positions(x: jax.Array) -> jax.Array:
  """Where in its 2x2 tile the largest pixel is.

  Args:
    x: [batch, height, width, channels].

  Returns:
    [batch, ceil(height / 2), ceil(width / 2), channels] uint8: 0 and 1 in the upper
    row, 2 and 3 in the lower one. The first of equal pixels in this order, as in Caffe;
    never a pixel beyond the map.
  """
  largest, *others = _pixels(x, -np.inf)
  positions = jnp.zeros(largest.shape, jnp.uint8)
  for index, pixel in enumerate(others, 1):
    positions = jnp.where(pixel > largest, jnp.uint8(index), positions)
    largest = jnp.maximum(largest, pixel)
  return positions


def take(x: jax.Array, positions: jax.Array) -> jax.Array:
  """The pixels of a map at positions in its tiles.

  Args:
    x: [batch, height, width, channels].
    positions: [batch, ceil(height / 2), ceil(width / 2), channels].

  Returns:
    An array of the shape of `positions`.
  """
  return lax.select_n(positions.astype(jnp.int32), *_pixels(x, 0))


def place(values: jax.Array, positions: jax.Array, size: tuple[int, int]) -> jax.Array:
  """The map that is zero but for values at positions in its tiles: `take` transposed.

  Arguments as in `MaxUnpool`.
  """
  height, width = size
  rows, columns = -(-height // _SIDE), -(-width // _SIDE)
  if values.shape[1:3] != (rows, columns):
    raise UserError(
      f'{values.shape[1]}x{values.shape[2]} pooled values do not unpool to a '
      f'{height}x{width} map, which has {rows}x{columns} tiles'
    )
  batch, channels = len(values), values.shape[-1]
  whole = jax.ShapeDtypeStruct((batch, height, width, channels), values.dtype)
  (x,) = jax.linear_transpose(lambda x: take(x, positions), whole)(values)
  return x


def _pixels(x: jax.Array, border: float) -> list[jax.Array]:
  """Each of the four pixels of all tiles, [batch, rows, columns, channels].

  Those beyond the map are the border.
  """
  pixels = [x[:, i::_SIDE, j::_SIDE] for i, j in np.ndindex(_SIDE, _SIDE)]
  _, rows, columns, _ = pixels[0].shape
  return [
    jnp.pad(
      pixel,
      ((0, 0), (0, rows - pixel.shape[1]), (0, columns - pixel.shape[2]), (0, 0)),
      constant_values=border,
    )
    for pixel in pixels
  ]
