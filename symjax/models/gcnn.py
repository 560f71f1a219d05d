"""GCNN: a convolutional network that turns and mirrors do not change."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.typing import Dtype

from symjax.errors import UserError
from symjax.nn import (
  ConvPolicy,
  GroupBatchNorm,
  GroupConv,
  GroupMaxPool,
  LiftingConv,
  group_mean,
)


class GCNN(nn.Module):
  """Group convolutions with BatchNorm and ReLU, halved after every second one.

  In the manner of the P4CNN of Cohen & Welling (2016), section 8.1: 3x3 layers of
  equal width, a mean over orientations and positions, and a dense layer. P4CNN has
  seven layers without a border, is halved once, and takes the maximum over
  orientations; of a mean, a plain network can do the same (`export`).

  The logits of an image and of its turned or mirrored images are the same, at every
  image size and under every policy: all strides are those of `GroupMaxPool`.

  Attributes:
    num_classes: logits.
    group: 'p4' (quarter turns), 'p4m' (mirrors too), or 'p1' (neither): a plain
      network of the same plan.
    channels: of every convolution. Each has |G| planes, so a plain network with as
      many planes has `|G| * channels`, and |G| times the parameters.
    depth: convolutions.
    policy: of the convolutions and poolings; 'blur' takes an odd size.
    dtype: of the computation. Parameters are float32, or float64 if that is asked.
  """

  num_classes: int
  group: str = 'p4m'
  channels: int = 8
  depth: int = 6
  policy: ConvPolicy = ConvPolicy()
  dtype: Dtype = jnp.float32

  def __post_init__(self) -> None:
    super().__post_init__()
    if self.depth < 1:
      raise UserError(f'a GCNN of depth {self.depth}; it has 1 convolution or more')
    if self.channels < 1:
      raise UserError(f'{self.channels} channels; a GCNN has 1 or more')
    LiftingConv(1, self.group, parent=None)  # Refuses an unknown group.
    GroupMaxPool(self.policy, parent=None)  # And a downsampling that breaks it.

  @property
  def normalized_kernels(self) -> tuple[str, ...]:
    """The convolutions."""
    return (r'conv_\d+/kernel',)

  @nn.compact
  def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
    """Logits [batch, num_classes] of images [batch, height, width, channels]."""
    params = np.promote_types(self.dtype, np.float32)
    norm = functools.partial(
      GroupBatchNorm,
      use_running_average=not train,
      momentum=0.9,
      epsilon=1e-5,
      dtype=self.dtype,
      param_dtype=params,
    )
    x = images.astype(self.dtype)
    for index in range(self.depth):
      if index and index % 2 == 0:
        x = GroupMaxPool(self.policy, name=f'pool_{index}')(x)
      x = _convolution(self, index)(x)
      x = nn.relu(norm(name=f'norm_{index}')(x))
    x = group_mean(x).mean(axis=(1, 2))
    return nn.Dense(
      self.num_classes, dtype=self.dtype, param_dtype=params, name='head'
    )(x)


def export(
  model: GCNN, variables: Mapping[str, Any]
) -> tuple[GCNN, dict[str, dict[str, Any]]]:
  """A plain network with the same outputs, and its variables.

  Each layer becomes the plain one on all planes: a convolution of the filters'
  transforms, a BatchNorm that repeats its numbers, a dense layer that has the mean
  over orientations in its weights.

  Args:
    model: the network.
    variables: its `params` and `batch_stats`.

  Returns:
    The network of group 'p1' with |G| times the channels, whose kernels are those of
    plain convolutions [3, 3, in, out], and its `params` and `batch_stats`.
  """
  order = LiftingConv(1, model.group).order
  shared, params = variables['params'], {}
  for index in range(model.depth):
    conv, norm = f'conv_{index}', f'norm_{index}'
    _, planar = _convolution(model, index).export({'params': shared[conv]})
    params[conv] = planar['params']
    params[norm] = _repeat(shared[norm], order)
  weights = jnp.tile(shared['head']['kernel'], (order, 1)) / order
  params['head'] = {**shared['head'], 'kernel': weights}
  plain = model.clone(group='p1', channels=order * model.channels)
  stats = _repeat(variables['batch_stats'], order)
  return plain, {'params': params, 'batch_stats': stats}


def _repeat(tree: Any, times: int) -> Any:
  """The numbers of every channel for all of its planes, the orientations major."""
  return jax.tree.map(lambda leaf: jnp.tile(leaf, times), tree)


def _convolution(model: GCNN, index: int) -> LiftingConv | GroupConv:
  layer = LiftingConv if index == 0 else GroupConv
  return layer(
    model.channels,
    model.group,
    use_bias=False,  # BatchNorm's shift stands for it.
    policy=model.policy,
    dtype=model.dtype,
    param_dtype=np.promote_types(model.dtype, np.float32),
    name=f'conv_{index}',
  )
