"""Maps at another size."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def resize_bilinear(x: jax.Array, size: tuple[int, int]) -> jax.Array:
  """A map at another size, by the two nearest pixels of each axis.

  Pixels are areas, whose corners stay where they are: position i of n over an axis of
  m pixels is at (i + 1/2) m / n - 1/2, and beyond the outermost centres it is the
  outermost pixel. So PyTorch interpolates with `align_corners=False`. A map that gets
  smaller is not filtered.

  Args:
    x: [batch, height, width, channels].
    size: (height, width) of the result.

  Returns:
    [batch, *size, channels].
  """
  for axis, equation in ((1, 'ij,bjwc->biwc'), (2, 'ij,bhjc->bhic')):
    weights = jnp.asarray(bilinear_weights(x.shape[axis], size[axis - 1]), x.dtype)
    x = jnp.einsum(equation, weights, x, precision=lax.Precision.HIGHEST)
  return x


def bilinear_weights(pixels: int, positions: int) -> np.ndarray:
  """[positions, pixels] weights of an axis, whose rows sum to 1."""
  centres = (np.arange(positions) + 0.5) * pixels / positions - 0.5
  distances = np.abs(centres.clip(0, pixels - 1)[:, None] - np.arange(pixels))
  return (1 - distances).clip(0)
