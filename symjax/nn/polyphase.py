"""Adaptive polyphase sampling: subsampling that circular shifts do not change.

Chaman & Dokmanic, "Truly shift-invariant convolutional neural networks" (CVPR 2021),
section 4: of the s x s grids on which a map can be subsampled at stride s, keep the one
whose pixels have the largest Euclidean norm. A shift of the map permutes the grids and
moves their content, so that the same content is kept. This is exact for circular
shifts of maps whose sides the stride divides, in a network with circular borders; a
cropped shift moves other pixels in and changes the choice.
"""

import jax
import jax.numpy as jnp
import numpy as np

from symjax.nn import padding


def components(x: jax.Array, strides: tuple[int, int]) -> jax.Array:
  """The polyphase components of a map: one for each grid of its positions.

  A side that the stride does not divide is continued circularly.

  Args:
    x: [batch, height, width, channels].
    strides: s of the grids, (vertical, horizontal).

  Returns:
    [batch, s s', ceil(height / s), ceil(width / s'), channels]; component i s' + j
    starts at row i and column j.
  """
  down, across = strides
  missing = (-x.shape[1] % down, -x.shape[2] % across)
  x = padding.pad(x, ((0, missing[0]), (0, missing[1])), 'circular')
  batch, height, width, channels = x.shape
  x = x.reshape(batch, height // down, down, width // across, across, channels)
  x = x.transpose(0, 2, 4, 1, 3, 5)
  return x.reshape(batch, down * across, *x.shape[3:])


def largest(parts: jax.Array) -> jax.Array:
  """[batch] int32 index of the component of largest norm; of equal ones, the first.

  Args:
    parts: [batch, components, height, width, channels].
  """
  wide = parts.astype(np.promote_types(parts.dtype, np.float32))
  energies = jnp.square(wide).sum(axis=(2, 3, 4))
  return jnp.argmax(energies, axis=1).astype(jnp.int32)


def select(parts: jax.Array, index: jax.Array) -> jax.Array:
  """[batch, height, width, channels] component `index` [batch] of each example."""
  places = index[:, None, None, None, None]
  return jnp.take_along_axis(parts, places, axis=1)[:, 0]
