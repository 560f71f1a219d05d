"""The blocks of residual networks (He et al., arXiv:1512.03385, Fig. 5)."""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from symjax.nn import ConvPolicy, Downsample, MaxPool

Layer = Callable[..., Any]
Shortcut = Callable[..., jax.Array]


class BasicBlock(nn.Module):
  """Two 3x3 convolutions beside a shortcut.

  Attributes:
    features: output channels.
    stride: of the first convolution, and of the shortcut.
    dilations: of the two convolutions.
    conv: makes a convolution without bias.
    norm: makes a BatchNorm.
    policy: how the stride is taken.
    shortcut: `project` or `subsample`.
  """

  expansion: ClassVar[int] = 1

  features: int
  stride: int
  dilations: tuple[int, int]
  conv: Layer
  norm: Layer
  policy: ConvPolicy
  shortcut: Shortcut

  @nn.compact
  def __call__(
    self, x: jax.Array, phase: jax.Array | None, *, train: bool
  ) -> jax.Array:
    """[batch, height', width', features] of [batch, height, width, channels].

    Args:
      x: the map.
      phase: from `sampling_phase`.
      train: whether BatchNorm takes the statistics of the batch.
    """
    norm = functools.partial(self.norm, use_running_average=not train)
    strides = (self.stride, self.stride)
    first, second = ((d, d) for d in self.dilations)
    sampling = Downsample(strides, self.policy, name='sampling')

    own = self.policy.convolution_strides(strides)
    y = self.conv(self.features, (3, 3), own, dilation=first, name='conv1')(x, phase)
    y = nn.relu(norm(name='bn1')(y))
    phase = sampling.phase(y, phase)
    y = sampling(y, phase)
    y = self.conv(self.features, (3, 3), dilation=second, name='conv2')(y)
    y = norm(name='bn2')(y)
    x = self.shortcut(x, phase, self.features, strides, self.conv, norm, self.policy)
    return nn.relu(x + y)


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
    policy: how the stride is taken.
    shortcut: `project` or `subsample`.
  """

  expansion: ClassVar[int] = 4

  features: int
  stride: int
  dilations: tuple[int, int]
  conv: Layer
  norm: Layer
  policy: ConvPolicy
  shortcut: Shortcut

  @nn.compact
  def __call__(
    self, x: jax.Array, phase: jax.Array | None, *, train: bool
  ) -> jax.Array:
    """[batch, height', width', 4 features] of [batch, height, width, channels].

    Args:
      x: the map.
      phase: from `sampling_phase`.
      train: whether BatchNorm takes the statistics of the batch.
    """
    norm = functools.partial(self.norm, use_running_average=not train)
    strides, outputs = (self.stride, self.stride), self.expansion * self.features
    dilation = (self.dilations[0], self.dilations[0])
    sampling = Downsample(strides, self.policy, name='sampling')

    y = nn.relu(norm(name='bn1')(self.conv(self.features, (1, 1), name='conv1')(x)))
    own = self.policy.convolution_strides(strides)
    y = self.conv(self.features, (3, 3), own, dilation=dilation, name='conv2')(y, phase)
    y = nn.relu(norm(name='bn2')(y))
    phase = sampling.phase(y, phase)
    y = sampling(y, phase)
    y = norm(name='bn3')(self.conv(outputs, (1, 1), name='conv3')(y))
    x = self.shortcut(x, phase, outputs, strides, self.conv, norm, self.policy)
    return nn.relu(x + y)


def project(
  x: jax.Array,
  phase: jax.Array | None,
  features: int,
  strides: tuple[int, int],
  conv: Layer,
  norm: Layer,
  policy: ConvPolicy,
) -> jax.Array:
  """The shortcut of option B: a 1x1 convolution where the shape changes.

  Anti-aliased networks blur in front of it (Zhang, arXiv:1904.11486). To be called in
  a compact module, whose layers `downsample_0` and `downsample_1` are made here.

  Args:
    x: the map [batch, height, width, channels].
    phase: of the other branch, which this one follows.
    features: output channels.
    strides: of the block.
    conv: makes a convolution without bias.
    norm: makes a BatchNorm.
    policy: how the stride is taken.
  """
  if strides == (1, 1) and x.shape[-1] == features:
    return x
  x = Downsample(strides, policy, name='shortcut_sampling')(x, phase)
  own = policy.convolution_strides(strides)
  x = conv(features, (1, 1), own, name='downsample_0')(x, phase)
  return norm(name='downsample_1')(x)


def subsample(
  x: jax.Array,
  phase: jax.Array | None,
  features: int,
  strides: tuple[int, int],
  conv: Layer,
  norm: Layer,
  policy: ConvPolicy,
) -> jax.Array:
  """The shortcut of option A: every second pixel, and channels of zeros on both sides.

  It has no parameters. The maximum over one pixel is how its stride comes into the
  layer table and under the policy. Arguments as in `project`.
  """
  del conv, norm
  if strides != (1, 1):
    x = MaxPool((1, 1), strides, policy=policy, name='shortcut_sampling')(x, phase)
  new = features - x.shape[-1]
  return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (new // 2, new - new // 2)))
