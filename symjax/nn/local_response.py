"""Local response normalisation (Krizhevsky et al., NIPS 2012, section 3.3)."""

import jax
import numpy as np
from jax import lax


def local_response_normalization(
  x: jax.Array, size: int = 5, alpha: float = 1e-4, beta: float = 0.75
) -> jax.Array:
  """Pixels divided by the power of their own and neighbouring channels.

  y_c = x_c / (1 + alpha / size * sum of x_d^2 over |d - c| <= size // 2) ^ beta, as
  Caffe has it (Krizhevsky does not divide alpha by the size). The constants are for
  pixels of 0 to 255: on a map of numbers near 1 it does nothing.

  Args:
    x: [batch, height, width, channels].
    size: channels of the neighbourhood, an odd number.
    alpha: of the sum.
    beta: of the quotient.

  Returns:
    An array of the shape of `x`.
  """
  reach = size // 2
  power = lax.reduce_window(
    x * x,
    np.zeros((), x.dtype),
    lax.add,
    (1, 1, 1, size),
    (1, 1, 1, 1),
    ((0, 0), (0, 0), (0, 0), (reach, reach)),
  )
  return x / (1 + alpha / size * power) ** beta
