"""The starts of weights that published networks train from."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.typing import Dtype, Initializer

# He et al., arXiv:1502.01852: unit gain through ReLU, for gradients (the fan of the
# outputs) or for activations (that of the inputs). Normal and not truncated.
he_normal_fan_out = nn.initializers.variance_scaling(2.0, 'fan_out', 'normal')
he_normal_fan_in = nn.initializers.variance_scaling(2.0, 'fan_in', 'normal')


def uniform_fan_in(fan_in: int) -> Initializer:
  """U(-b, b) with b = 1 / sqrt(fan_in): what PyTorch gives a layer that is not told.

  Kernels and biases alike; a bias does not know its layer's inputs, so they are
  given.

  Args:
    fan_in: numbers that one output is a sum of.
  """
  bound = 1 / np.sqrt(fan_in)

  def draw(
    key: jax.Array, shape: tuple[int, ...], dtype: Dtype = jnp.float32
  ) -> jax.Array:
    return jax.random.uniform(key, shape, dtype, -bound, bound)

  return draw
