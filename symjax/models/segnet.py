"""SegNet and SegNet-Basic (Badrinarayanan et al., arXiv:1505.07293, 1511.00561)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.typing import Dtype

from symjax.errors import UserError
from symjax.models.border import require_border
from symjax.models.width import require_channels, scale
from symjax.nn import (
  Conv,
  ConvPolicy,
  IndexedMaxPool,
  MaxUnpool,
  local_response_normalization,
)
from symjax.nn.initializers import he_normal_fan_in

# The convolutions of a stage: (name, features), in the order they run.
Stage = tuple[tuple[str, int], ...]


class Plan(NamedTuple):
  """A published network, by the names of its Caffe definition.

  Attributes:
    encoder: its stages, each of which a pooling follows.
    decoder: its stages, each behind the unpooling of its counterpart.
    classifier: the convolution that makes the logits, and the side of its kernel.
    taps: side of all other kernels.
    normalizes_images: whether the first layer is local response normalisation.
    rectifies_decoder: whether ReLU follows the decoder's BatchNorm, as the encoder's.
  """

  encoder: tuple[Stage, ...]
  decoder: tuple[Stage, ...]
  classifier: tuple[str, int]
  taps: int
  normalizes_images: bool
  rectifies_decoder: bool


def _basic() -> Plan:
  return Plan(
    encoder=tuple(((f'conv{stage}', 64),) for stage in (1, 2, 3, 4)),
    decoder=tuple(((f'conv_decode{stage}', 64),) for stage in (4, 3, 2, 1)),
    classifier=('conv_classifier', 1),
    taps=7,
    normalizes_images=True,
    rectifies_decoder=False,
  )


def _vgg16() -> Plan:
  """VGG-16's convolutions, and the same backwards; the last makes the logits."""
  counts, features = (2, 2, 3, 3, 3), (64, 128, 256, 512, 512)
  encoder = tuple(
    tuple((f'conv{stage}_{index}', width) for index in range(1, count + 1))
    for stage, (count, width) in enumerate(zip(counts, features, strict=True), 1)
  )
  decoder = []
  for stage in (5, 4, 3, 2, 1):
    own, below = features[stage - 1], features[max(stage - 2, 0)]
    indices = range(counts[stage - 1], 0 if stage > 1 else 1, -1)
    decoder.append(
      tuple((f'conv{stage}_{i}_D', own if i > 1 else below) for i in indices)
    )
  return Plan(
    encoder=encoder,
    decoder=tuple(decoder),
    classifier=('conv1_1_D', 3),
    taps=3,
    normalizes_images=False,
    rectifies_decoder=True,
  )


# Encoder -> the network that its authors published with it.
PLANS = {'basic': _basic(), 'vgg16': _vgg16()}


class SegNet(nn.Module):
  """SegNet as its authors' Caffe definitions have it: arithmetic, start, names.

  Poolings remember where in their 2x2 tiles the maxima were, and the decoder's
  unpoolings put values back there; a map with an odd side has a last row or column of
  tiles that are cut, and comes back at its own size. SegNet-Basic is taken for the
  network that "Understanding symmetries in deep networks" trains (arXiv:1511.01029,
  section 5), by its description in the report that is cited there.

  Its local response normalisation is made for pixels of 0 to 255: a mean of 0 and a
  standard deviation of 1/255 of the data leave them so. Nothing is subtracted from
  images in either definition.

  Caffe's BatchNorm has no running statistics: the authors compute them over the
  training set after the last step. Here they run along with momentum 0.9. Epsilon is
  1e-5, where theirs is 1e-9.

  Attributes:
    num_classes: logits of each pixel.
    encoder: 'basic' is SegNet-Basic, four 7x7 convolutions of 64 channels, and no ReLU
      behind the decoder's; 'vgg16' is SegNet, the thirteen 3x3 convolutions of VGG-16.
    width: multiplies the channels of every layer but the logits.
    policy: of the convolutions; poolings are always strided.
    dtype: of the computation. Parameters are float32, or float64 if that is asked.

  Raises:
    UserError: an unknown encoder, no channels, a border that does not keep the size of
      maps, or a downsampling that leaves nothing to unpool to.
  """

  num_classes: int
  encoder: str = 'basic'
  width: float = 1.0
  policy: ConvPolicy = ConvPolicy()
  dtype: Dtype = jnp.float32

  def __post_init__(self) -> None:
    super().__post_init__()
    if self.encoder not in PLANS:
      raise UserError(
        f'unknown encoder {self.encoder!r}; choose from {", ".join(PLANS)}'
      )
    require_channels(self.width, 64)
    require_border(self.policy, 'a SegNet unpools')
    if self.policy.downsampling != 'stride':
      raise UserError(
        f'downsampling {self.policy.downsampling!r} mixes or moves the pixels that '
        "SegNet's unpooling puts back where they were; choose downsampling 'stride'"
      )

  @property
  def normalized_kernels(self) -> tuple[str, ...]:
    """The convolutions but that of the logits."""
    plan = PLANS[self.encoder]
    stages = (*plan.encoder, *plan.decoder)
    return tuple(f'{name}/kernel' for stage in stages for name, _ in stage)

  @nn.compact
  def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
    """Logits [batch, height, width, num_classes] of images of that size."""
    plan = PLANS[self.encoder]
    x = images
    if plan.normalizes_images:
      x = local_response_normalization(x)
    x = x.astype(self.dtype)
    pooled = []
    for number, stage in enumerate(plan.encoder, 1):
      for name, features in stage:
        x = nn.relu(self._unit(x, name, features, train))
      size = (x.shape[1], x.shape[2])
      x, positions = IndexedMaxPool(name=f'pool{number}')(x)
      pooled.append((number, positions, size))
    for stage in plan.decoder:
      number, positions, size = pooled.pop()
      x = MaxUnpool(name=f'upsample{number}')(x, positions, size)
      for name, features in stage:
        x = self._unit(x, name, features, train)
        if plan.rectifies_decoder:
          x = nn.relu(x)
    name, taps = plan.classifier
    return self._conv(x, name, self.num_classes, taps)

  def _unit(self, x: jax.Array, name: str, features: int, train: bool) -> jax.Array:
    """A convolution and BatchNorm."""
    taps = PLANS[self.encoder].taps
    x = self._conv(x, name, scale(features, self.width), taps)
    norm = nn.BatchNorm(
      use_running_average=not train,
      momentum=0.9,
      epsilon=1e-5,
      dtype=self.dtype,
      param_dtype=np.promote_types(self.dtype, np.float32),
      bias_init=nn.initializers.constant(0.001),
      name=f'{name}_bn',
    )
    return norm(x)

  def _conv(self, x: jax.Array, name: str, features: int, taps: int) -> jax.Array:
    conv = Conv(
      features,
      (taps, taps),
      policy=self.policy,
      dtype=self.dtype,
      param_dtype=np.promote_types(self.dtype, np.float32),
      kernel_init=he_normal_fan_in,
      name=name,
    )
    return conv(x)
