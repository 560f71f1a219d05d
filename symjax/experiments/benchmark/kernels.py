"""What the benchmarks of pure mathematics compute with."""

import jax
import jax.numpy as jnp
import numpy as np

from symjax import symmetry
from symjax.models import get_model


def vgg_kernels(seed: int) -> dict[str, jax.Array]:
  """Gaussian numbers in the shapes [h, w, in, out] of a full VGG-16's convolutions."""
  model = get_model('vgg', 1000, depth=16)
  shapes = jax.eval_shape(
    model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
  )
  rng = np.random.default_rng(seed)
  return {
    name: jnp.asarray(rng.standard_normal(kernel.shape, np.float32))
    for name, kernel in symmetry.convolutions(shapes['params']).items()
  }
