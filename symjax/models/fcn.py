"""FCN, a fully convolutional network on a ResNet (Long et al., arXiv:1411.4038)."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.typing import Dtype

from symjax.errors import UserError
from symjax.models.resnet import ResNet
from symjax.nn import Conv, ConvPolicy, resize_bilinear
from symjax.nn.initializers import uniform_fan_in


class FCN(nn.Module):
  """FCN as in torchvision: its arithmetic, its start, its names.

  The published ones are on a ResNet-50 or ResNet-101. The others have heads in the same
  proportion, a quarter of the channels of their stage.

  Attributes:
    body: name of the ResNet, which the weights of a classifier can start.
    num_classes: logits of each pixel.
    depth: of the ResNet.
    width: multiplies the channels of every layer but the logits.
    output_stride: of the ResNet, whose last stages are dilated for it: pixels of the
      image to one of the map that the heads see.
    auxiliary: whether there is a second head on the last stage but one, for training.
      Its logits, of the size of the images, are sown into `intermediates` as
      `auxiliary_logits`.
    policy: of the convolutions and the pooling.
    dtype: of the computation. Parameters are float32, or float64 if that is asked.

  Raises:
    UserError: what makes no ResNet, or 'aps', which samples maps of each image from
      another pixel on, so that the upsampled logits would be beside what they are of.
  """

  body: ClassVar[str] = 'backbone'

  num_classes: int
  depth: int = 50
  width: float = 1.0
  output_stride: int = 8
  auxiliary: bool = True
  policy: ConvPolicy = ConvPolicy()
  dtype: Dtype = jnp.float32

  def __post_init__(self) -> None:
    super().__post_init__()
    self._make_backbone(parent=None)  # For its complaints.
    if self.policy.downsampling == 'aps':
      raise UserError(
        "downsampling 'aps' begins the maps of each image at another pixel, and FCN "
        'upsamples them as if at the first; choose another downsampling'
      )

  @property
  def normalized_kernels(self) -> tuple[str, ...]:
    """The convolutions but those of the logits."""
    body = self._make_backbone(parent=None).normalized_kernels
    return (
      *(f'{self.body}/{pattern}' for pattern in body),
      r'(aux_)?classifier_0/kernel',
    )

  @nn.compact
  def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
    """Logits [batch, height, width, num_classes] of images of that size.

    In training the second head runs, dropout draws from the rng `dropout`, and balanced
    layers from `phase`.
    """
    size = (images.shape[1], images.shape[2])
    maps = self._make_backbone(name=self.body).feature_maps(images, train=train)
    logits = self._head(maps['layer4'], 'classifier', train)
    # The head's parameters are made even where the network starts in evaluation.
    if self.auxiliary and (train or self.is_initializing()):
      second = self._head(maps['layer3'], 'aux_classifier', train)
      self.sow('intermediates', 'auxiliary_logits', resize_bilinear(second, size))
    return resize_bilinear(logits, size)

  def _make_backbone(self, **place: Any) -> ResNet:
    return ResNet(
      self.num_classes,
      self.depth,
      self.width,
      output_stride=self.output_stride,
      policy=self.policy,
      dtype=self.dtype,
      **place,
    )

  def _head(self, x: jax.Array, name: str, train: bool) -> jax.Array:
    """Logits at the size of a map, by layers with the numbers of torchvision's."""
    params = np.promote_types(self.dtype, np.float32)
    channels = x.shape[-1]
    features = channels // 4
    x = Conv(
      features,
      use_bias=False,
      policy=self.policy,
      dtype=self.dtype,
      param_dtype=params,
      kernel_init=uniform_fan_in(9 * channels),
      name=f'{name}_0',
    )(x)
    x = nn.BatchNorm(
      use_running_average=not train,
      momentum=0.9,
      epsilon=1e-5,
      dtype=self.dtype,
      param_dtype=params,
      name=f'{name}_1',
    )(x)
    x = nn.Dropout(0.1, deterministic=not train)(nn.relu(x))
    return Conv(
      self.num_classes,
      (1, 1),
      policy=self.policy,
      dtype=self.dtype,
      param_dtype=params,
      kernel_init=uniform_fan_in(features),
      bias_init=uniform_fan_in(features),
      name=f'{name}_4',
    )(x)
