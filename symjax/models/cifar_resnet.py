"""ResNet for images of 32 pixels (He et al., arXiv:1512.03385, section 4.2)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.typing import Dtype

from symjax.errors import UserError
from symjax.models.border import require_border
from symjax.models.residual import BasicBlock, subsample
from symjax.models.width import require_channels, scale
from symjax.nn import Conv, ConvPolicy, sampling_phase
from symjax.nn.initializers import he_normal_fan_in, uniform_fan_in

DEPTHS = (20, 32, 44, 56, 110)  # 6n + 2.
STAGE_FEATURES = (16, 32, 64)


class CifarResNet(nn.Module):
  """ResNet-20 to -110: three stages of n basic blocks, with shortcuts of option A.

  The names are those of the widespread PyTorch weights: `conv1`, `bn1`, `layer1_0`,
  ..., `linear`.

  Attributes:
    num_classes: logits.
    depth: weight layers of the published network, one of `DEPTHS`.
    width: multiplies the channels of every layer.
    policy: of the convolutions and shortcuts.
    dtype: of the computation. Parameters are float32, or float64 if that is asked.

  Raises:
    UserError: an unknown depth, no channels, or a border that does not keep the size
      of maps.
  """

  num_classes: int
  depth: int = 20
  width: float = 1.0
  policy: ConvPolicy = ConvPolicy()
  dtype: Dtype = jnp.float32

  def __post_init__(self) -> None:
    super().__post_init__()
    if self.depth not in DEPTHS:
      raise UserError(
        f'no CIFAR ResNet-{self.depth}; choose depth from {", ".join(map(str, DEPTHS))}'
      )
    require_channels(self.width, STAGE_FEATURES[0])
    require_border(self.policy, 'a residual network adds up')

  @property
  def normalized_kernels(self) -> tuple[str, ...]:
    """The convolutions."""
    return (r'(layer\d_\d+/)?conv\d/kernel',)

  @nn.compact
  def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
    """Logits [batch, num_classes] of images [batch, height, width, channels].

    In training, balanced layers draw from the rng `phase`.
    """
    params = np.promote_types(self.dtype, np.float32)
    conv = functools.partial(
      Conv,
      use_bias=False,
      policy=self.policy,
      dtype=self.dtype,
      param_dtype=params,
      kernel_init=he_normal_fan_in,
    )
    norm = functools.partial(
      nn.BatchNorm, momentum=0.9, epsilon=1e-5, dtype=self.dtype, param_dtype=params
    )
    widths = [scale(published, self.width) for published in STAGE_FEATURES]

    x = conv(widths[0], name='conv1')(images.astype(self.dtype))
    x = nn.relu(norm(use_running_average=not train, name='bn1')(x))
    for stage, features in enumerate(widths, start=1):
      phase = sampling_phase(self, self.policy, stage - 2, train)
      for index in range((self.depth - 2) // 6):
        stride = 2 if stage > 1 and index == 0 else 1
        block = BasicBlock(
          features,
          stride,
          (1, 1),
          conv,
          norm,
          self.policy,
          subsample,
          name=f'layer{stage}_{index}',
        )
        x = block(x, phase, train=train)
    return nn.Dense(
      self.num_classes,
      dtype=self.dtype,
      param_dtype=params,
      kernel_init=he_normal_fan_in,
      bias_init=uniform_fan_in(x.shape[-1]),
      name='linear',
    )(x.mean(axis=(1, 2)))
