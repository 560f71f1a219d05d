"""ResNet for ImageNet, and as the body of other networks (arXiv:1512.03385)."""

import dataclasses
import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.typing import Dtype

from symjax.errors import UserError
from symjax.models.border import require_border
from symjax.models.residual import BasicBlock, Bottleneck, project
from symjax.models.width import require_channels, scale
from symjax.nn import Conv, ConvPolicy, Downsample, MaxPool, sampling_phase
from symjax.nn.initializers import uniform_fan_in

# Depth -> the block, and how many in each of the four stages (Table 1).
PLANS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, ...]]] = {
  18: (BasicBlock, (2, 2, 2, 2)),
  34: (BasicBlock, (3, 4, 6, 3)),
  50: (Bottleneck, (3, 4, 6, 3)),
  101: (Bottleneck, (3, 4, 23, 3)),
  152: (Bottleneck, (3, 8, 36, 3)),
}
STAGE_FEATURES = (64, 128, 256, 512)
STAGE_STRIDES = (1, 2, 2, 2)
STEM_STRIDES = {'imagenet': 4, 'cifar': 1}


class ResNet(nn.Module):
  """ResNet as in torchvision: its arithmetic, its start, its names.

  Attributes:
    num_classes: logits.
    depth: weight layers of the published network, a key of `PLANS`.
    width: multiplies the channels of every layer.
    stem: 'imagenet' is the published one, a 7x7 convolution and a max-pool, which
      together leave a quarter of the side; 'cifar' is one 3x3 convolution that leaves
      all of it, as is usual on images of 32 pixels.
    output_stride: pixels of the image to one of the last map. None is that of the
      published strides, 8 times the stem's. Less, down to the stem's, takes the stride
      out of the last stages and dilates what follows, so that their pixels see what
      they saw before (torchvision's `replace_stride_with_dilation`; its FCN has 8).
    policy: of the convolutions and the pooling. Under 'blur' the first convolution
      stays strided, as it is in Zhang's networks (arXiv:1904.11486).
    dtype: of the computation. Parameters are float32, or float64 if that is asked.

  Raises:
    UserError: an unknown depth, stem or output stride, no channels, or a border that
      does not keep the size of maps.
  """

  num_classes: int
  depth: int = 50
  width: float = 1.0
  stem: str = 'imagenet'
  output_stride: int | None = None
  policy: ConvPolicy = ConvPolicy()
  dtype: Dtype = jnp.float32

  def __post_init__(self) -> None:
    super().__post_init__()
    if self.depth not in PLANS:
      raise UserError(
        f'no ResNet-{self.depth}; choose depth from {", ".join(map(str, PLANS))}'
      )
    if self.stem not in STEM_STRIDES:
      raise UserError(
        f'unknown stem {self.stem!r}; choose from {", ".join(STEM_STRIDES)}'
      )
    strides = [STEM_STRIDES[self.stem] * factor for factor in (8, 4, 2, 1)]
    if self.output_stride not in (None, *strides):
      raise UserError(
        f'no output_stride {self.output_stride} behind the stem {self.stem!r}; choose '
        f'from {", ".join(map(str, strides))}'
      )
    require_channels(self.width, STAGE_FEATURES[0])
    require_border(self.policy, 'a residual network adds up')

  @property
  def normalized_kernels(self) -> tuple[str, ...]:
    """The convolutions."""
    return (r'(layer\d_\d+/)?conv\d/kernel', r'layer\d_\d+/downsample_0/kernel')

  def setup(self) -> None:
    """Makes the layers, whose names are those of the attributes."""
    params = np.promote_types(self.dtype, np.float32)
    conv = functools.partial(
      Conv, use_bias=False, policy=self.policy, dtype=self.dtype, param_dtype=params
    )
    norm = functools.partial(
      nn.BatchNorm, momentum=0.9, epsilon=1e-5, dtype=self.dtype, param_dtype=params
    )
    block, counts = PLANS[self.depth]
    features = [scale(published, self.width) for published in STAGE_FEATURES]

    if self.stem == 'imagenet':
      strides, policy = (2, 2), self.policy
      if policy.downsampling == 'blur':
        policy = dataclasses.replace(policy, downsampling='stride')
      self.conv1 = conv(features[0], (7, 7), policy.convolution_strides(strides))
      self.sampling = Downsample(strides, policy)
      self.maxpool = MaxPool((3, 3), strides, ((1, 1), (1, 1)), self.policy)
    else:
      self.conv1 = conv(features[0], (3, 3))
    self.bn1 = norm()
    self.layer1, self.layer2, self.layer3, self.layer4 = (
      [
        block(
          width,
          stride if index == 0 else 1,
          (before if index == 0 else dilation, dilation),
          conv,
          norm,
          self.policy,
          project,
        )
        for index in range(count)
      ]
      for count, width, (stride, before, dilation) in zip(
        counts, features, self._steps(), strict=True
      )
    )
    inputs = block.expansion * features[-1]
    self.fc = nn.Dense(
      self.num_classes,
      dtype=self.dtype,
      param_dtype=params,
      kernel_init=uniform_fan_in(inputs),
      bias_init=uniform_fan_in(inputs),
    )

  def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
    """Logits [batch, num_classes] of images [batch, height, width, channels].

    In training, balanced layers draw from the rng `phase`.
    """
    return self.fc(self.feature_maps(images, train=train)['layer4'].mean(axis=(1, 2)))

  def feature_maps(
    self, images: jax.Array, *, train: bool = False
  ) -> dict[str, jax.Array]:
    """The output of each stage, 'layer1' to 'layer4', for a network built on this one.

    Such a network holds a ResNet as a module and calls this method of it; the dense
    layer of the logits then has no parameters.

    Returns:
      Name of the stage -> [batch, height', width', channels'].
    """
    phases = [sampling_phase(self, self.policy, index, train) for index in range(5)]
    x = self.conv1(images.astype(self.dtype), phases[0])
    x = nn.relu(self.bn1(x, use_running_average=not train))
    if self.stem == 'imagenet':
      x = self.maxpool(self.sampling(x, phases[0]), phases[1])
    maps = {}
    stages = (self.layer1, self.layer2, self.layer3, self.layer4)
    for number, (stage, phase) in enumerate(zip(stages, phases[1:], strict=True), 1):
      for block in stage:
        x = block(x, phase, train=train)
      maps[f'layer{number}'] = x
    return maps

  def _steps(self) -> Iterator[tuple[int, int, int]]:
    """Of each stage: its stride, the dilation before that, and the one behind it."""
    stride, dilation = STEM_STRIDES[self.stem], 1
    for step in STAGE_STRIDES:
      before = dilation
      if self.output_stride is not None and stride * step > self.output_stride:
        dilation, step = dilation * step, 1
      stride *= step
      yield step, before, dilation
