"""ArchBN, the network of "Understanding symmetries in deep networks" (Fig. 1)."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.typing import Dtype

from symjax.errors import UserError
from symjax.nn import ConvPolicy

_POOLED = 2  # Neighbouring features of one max.


def unit_filters(
  key: jax.Array, shape: tuple[int, int], dtype: Dtype = jnp.float32
) -> jax.Array:
  """A kernel [inputs, filters] of Gaussian columns, each divided by its norm.

  The start of every weight in section 4 of arXiv:1511.01029: filters and class
  vectors, whichever method trains them.
  """
  drawn = jax.random.normal(key, shape, dtype)
  return drawn / jnp.linalg.norm(drawn, axis=0, keepdims=True)


class ArchBN(nn.Module):
  """Dense layers with BatchNorm, ReLU and a 2x1 max-pool over features; a softmax.

  The rasterised image is multiplied by `filters_0`, normalised, rectified, and the
  larger of each two neighbouring features goes on to `filters_1`, which so sees half
  as many inputs as there are filters: 784 -> 64 -> 32 -> 64 -> 32 -> ... -> classes.
  The paper gives the size of its second layer as 32 x 64, which is read as 64 filters
  over 32 inputs. No layer has a bias: BatchNorm's shift stands for it, and `theta`
  has none in the paper.

  The loss does not depend on the norm of any column of `filters_*` (up to BatchNorm's
  epsilon); that of `theta` matters.

  Attributes:
    num_classes: logits.
    depth: layers of filters; the paper has 2 and 4.
    features: filters of each layer, an even number.
    policy: has nothing to act on here, so only the default is taken.
    dtype: of the computation. Parameters are float32, or float64 if that is asked.

  Raises:
    UserError: no depth, odd features, or a border for convolutions that are not here.
  """

  num_classes: int
  depth: int = 2
  features: int = 64
  policy: ConvPolicy = ConvPolicy()
  dtype: Dtype = jnp.float32

  def __post_init__(self) -> None:
    super().__post_init__()
    if self.depth < 1:
      raise UserError(f'an ArchBN of depth {self.depth}; it has 1 layer or more')
    if self.features < _POOLED or self.features % _POOLED:
      raise UserError(
        f'{self.features} features; ArchBN pools them in twos: give an even number'
      )
    # How to compute a convolution is no matter of the network's.
    if dataclasses.replace(self.policy, algorithm='auto', costs=None) != ConvPolicy():
      raise UserError(
        'archbn has no convolution: leave padding, widths and downsampling at their '
        'defaults'
      )

  @property
  def normalized_kernels(self) -> tuple[str, ...]:
    """All but the class vectors."""
    return (r'filters_\d+/kernel',)

  @nn.compact
  def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
    """Logits [batch, num_classes] of images [batch, height, width, channels]."""
    params = np.promote_types(self.dtype, np.float32)
    dense = functools.partial(
      nn.Dense,
      use_bias=False,
      dtype=self.dtype,
      param_dtype=params,
      kernel_init=unit_filters,
    )
    x = images.reshape(len(images), -1).astype(self.dtype)
    for layer in range(self.depth):
      x = dense(self.features, name=f'filters_{layer}')(x)
      x = nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        dtype=self.dtype,
        param_dtype=params,
        name=f'norm_{layer}',
      )(x)
      x = nn.relu(x)
      x = x.reshape(len(x), -1, _POOLED).max(axis=-1)
    return dense(self.num_classes, name='theta')(x)
