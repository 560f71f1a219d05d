"""The basic blocks of a ResNet-18, to measure steps of training with."""

import functools
from typing import Any

import jax
from flax import linen as nn

from symjax.nn import Conv, ConvPolicy, MaxPool


class BasicBlocks(nn.Module):
  """A ResNet-18 (He et al., arXiv:1512.03385), arithmetic as in torchvision.

  Attributes:
    num_classes: logits.
    policy: of the convolutions.
  """

  num_classes: int
  policy: ConvPolicy = ConvPolicy()

  @nn.compact
  def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
    """Logits [batch, num_classes] of images [batch, height, width, channels]."""
    conv = functools.partial(Conv, use_bias=False, policy=self.policy)
    norm = functools.partial(nn.BatchNorm, use_running_average=not train, momentum=0.9)
    x = conv(64, (7, 7), (2, 2))(images)
    x = MaxPool((3, 3), (2, 2), ((1, 1), (1, 1)))(nn.relu(norm()(x)))
    for width in (64, 128, 256, 512):
      for block in range(2):
        stride = 2 if width > 64 and block == 0 else 1
        x = _block(x, width, stride, conv, norm)
    return nn.Dense(self.num_classes)(x.mean(axis=(1, 2)))


def _block(x: jax.Array, width: int, stride: int, conv: Any, norm: Any) -> jax.Array:
  y = nn.relu(norm()(conv(width, strides=(stride, stride))(x)))
  y = norm()(conv(width)(y))
  if stride > 1:
    x = norm()(conv(width, (1, 1), (stride, stride))(x))
  return nn.relu(x + y)
