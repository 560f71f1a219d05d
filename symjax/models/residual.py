"""The blocks of residual networks (He et al., arXiv:1512.03385, Fig. 5)."""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from symjax.errors import UserError
from symjax.nn import ConvPolicy, MaxPool

Layer = Callable[..., Any]


class BasicBlock(nn.Module):
  """Two 3x3 convolutions beside a shortcut.

  Attributes:
    features: output channels.
    stride: of the first convolution, and of the shortcut.
    dilations: of the two convolutions.
    conv: makes a convolution without bias.
    norm: makes a BatchNorm.
    shortcut: `project`, or `subsample` under a policy.
  """

  expansion: ClassVar[int] = 1

  features: int
  stride: int
  dilations: tuple[int, int]
  conv: Layer
  norm: Layer
  shortcut: Callable[..., jax.Array]

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    """[batch, height', width', features] of [batch, height, width, channels]."""
    norm = functools.partial(self.norm, use_running_average=not train)
    first, second = ((d, d) for d in self.dilations)
    strides = (self.stride, self.stride)

    y = self.conv(self.features, (3, 3), strides, dilation=first, name='conv1')(x)
    y = nn.relu(norm(name='bn1')(y))
    y = self.conv(self.features, (3, 3), dilation=second, name='conv2')(y)
    y = norm(name='bn2')(y)
    return nn.relu(y + self.shortcut(x, self.features, strides, self.conv, norm))


class Bottleneck(nn.Module):
  """A 3x3 convolution between two of 1x1, beside a shortcut.

  The stride is that of the 3x3 convolution, as in torchvision ("v1.5"); the paper
  has it on the first 1x1, which then never sees three of four pixels.

  Attributes:
    features: channels of the 3x3 convolution; a quarter of the output's.
    stride: of the 3x3 convolution, and of the shortcut.
    dilations: the first is that of the 3x3 convolution.
    conv: makes a convolution without bias.
    norm: makes a BatchNorm.
    shortcut: `project`, or `subsample` under a policy.
  """

  expansion: ClassVar[int] = 4

  features: int
  stride: int
  dilations: tuple[int, int]
  conv: Layer
  norm: Layer
  shortcut: Callable[..., jax.Array]

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    """[batch, height', width', 4 features] of [batch, height, width, channels]."""
    norm = functools.partial(self.norm, use_running_average=not train)
    dilation = (self.dilations[0], self.dilations[0])
    strides = (self.stride, self.stride)
    outputs = self.expansion * self.features

    y = nn.relu(norm(name='bn1')(self.conv(self.features, (1, 1), name='conv1')(x)))
    y = self.conv(self.features, (3, 3), strides, dilation=dilation, name='conv2')(y)
    y = nn.relu(norm(name='bn2')(y))
    y = norm(name='bn3')(self.conv(outputs, (1, 1), name='conv3')(y))
    return nn.relu(y + self.shortcut(x, outputs, strides, self.conv, norm))


def project(
  x: jax.Array, features: int, strides: tuple[int, int], conv: Layer, norm: Layer
) -> jax.Array:
  """The shortcut of option B: a 1x1 convolution where the shape changes.

  To be called in a compact module, whose layers `downsample_0` and `downsample_1` are
  made here.
  """
  if strides == (1, 1) and x.shape[-1] == features:
    return x
  x = conv(features, (1, 1), strides, name='downsample_0')(x)
  return norm(name='downsample_1')(x)


def subsample(
  x: jax.Array,
  features: int,
  strides: tuple[int, int],
  conv: Layer,
  norm: Layer,
  policy: ConvPolicy,
) -> jax.Array:
  """The shortcut of option A: every second pixel, and channels of zeros on both sides.

  It has no parameters. The maximum over one pixel is how its stride comes into the
  layer table.
  """
  del conv, norm
  if strides != (1, 1):
    x = MaxPool((1, 1), strides, policy=policy, name='subsample')(x)
  new = features - x.shape[-1]
  return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (new // 2, new - new // 2)))


def require_border(policy: ConvPolicy) -> None:
  """Refuses a policy under which the two branches of a block differ in size.

  Raises:
    UserError: naming the border mode.
  """
  if policy.padding == 'valid':
    raise UserError(
      "padding 'valid' shrinks the maps that a residual network adds up; choose "
      'another padding'
    )
