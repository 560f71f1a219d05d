"""VGG, with and without BatchNorm (Simonyan & Zisserman, arXiv:1409.1556)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.typing import Dtype

from symjax.errors import UserError
from symjax.models.width import require_channels, scale
from symjax.nn import (
  Conv,
  ConvPolicy,
  MaxPool,
  adaptive_average_pool,
  sampling_phase,
)

# Depth -> convolutions in each of the five stages (Table 1, columns A, B, D, E).
PLANS = {
  11: (1, 1, 2, 2, 2),
  13: (2, 2, 2, 2, 2),
  16: (2, 2, 3, 3, 3),
  19: (2, 2, 4, 4, 4),
}
STAGE_FEATURES = (64, 128, 256, 512, 512)
HEADS = ('classifier', 'average')


class VGG(nn.Module):
  """VGG as in torchvision: its arithmetic, its start, its layer numbers.

  Layer `features.7` of torchvision is `features_7` here, with or without BatchNorm.

  Attributes:
    num_classes: logits.
    depth: weight layers of the published network, a key of `PLANS`.
    batch_norm: whether BatchNorm follows each convolution.
    head: 'classifier' is the published one, three dense layers of 4096, 4096 and
      `num_classes` units with dropout behind a 7x7 adaptive average pool; 'average'
      is one dense layer behind a global average.
    width: multiplies the channels of every layer, the classifier's included.
    stages: how many of the five stages to keep, first to last; small images leave
      nothing for the last ones to see.
    policy: of the convolutions and poolings.
    dtype: of the computation. Parameters are float32, or float64 if that is asked.
  """

  num_classes: int
  depth: int = 16
  batch_norm: bool = False
  head: str = 'classifier'
  width: float = 1.0
  stages: int = 5
  policy: ConvPolicy = ConvPolicy()
  dtype: Dtype = jnp.float32

  def __post_init__(self) -> None:
    super().__post_init__()
    if self.depth not in PLANS:
      raise UserError(
        f'no VGG-{self.depth}; choose depth from {", ".join(map(str, PLANS))}'
      )
    if self.head not in HEADS:
      raise UserError(f'unknown head {self.head!r}; choose from {", ".join(HEADS)}')
    if not 1 <= self.stages <= len(STAGE_FEATURES):
      raise UserError(f'{self.stages} stages; VGG has 1 to {len(STAGE_FEATURES)}')
    require_channels(self.width, STAGE_FEATURES[0])

  @property
  def normalized_kernels(self) -> tuple[str, ...]:
    """The convolutions, with BatchNorm; none without."""
    return (r'features_\d+/kernel',) if self.batch_norm else ()

  @nn.compact
  def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
    """Logits [batch, num_classes] of images [batch, height, width, channels].

    In training, dropout (of the classifier head) draws from the rng `dropout`, and
    balanced poolings from the rng `phase`.
    """
    params = np.promote_types(self.dtype, np.float32)
    conv = functools.partial(
      Conv, policy=self.policy, dtype=self.dtype, param_dtype=params
    )
    norm = functools.partial(
      nn.BatchNorm,
      use_running_average=not train,
      momentum=0.9,
      epsilon=1e-5,
      dtype=self.dtype,
      param_dtype=params,
    )
    dense = functools.partial(
      nn.Dense,
      dtype=self.dtype,
      param_dtype=params,
      kernel_init=nn.initializers.normal(0.01),
    )

    x = images.astype(self.dtype)
    index = 0  # Of torchvision's Sequential, which counts every module.
    plan = PLANS[self.depth][: self.stages]
    for stage, (convolutions, features) in enumerate(
      zip(plan, STAGE_FEATURES, strict=False)
    ):
      for _ in range(convolutions):
        x = conv(scale(features, self.width), name=f'features_{index}')(x)
        if self.batch_norm:
          index += 1
          x = norm(name=f'features_{index}')(x)
        x = nn.relu(x)
        index += 2
      phase = sampling_phase(self, self.policy, stage, train)
      x = MaxPool(policy=self.policy, name=f'features_{index}')(x, phase)
      index += 1

    if self.head == 'average':
      return dense(self.num_classes, name='head')(x.mean(axis=(1, 2)))
    x = adaptive_average_pool(x, (7, 7)).reshape(x.shape[0], -1)
    for index in (0, 3):
      x = nn.relu(dense(scale(4096, self.width), name=f'classifier_{index}')(x))
      x = nn.Dropout(0.5, deterministic=not train)(x)
    return dense(self.num_classes, name='classifier_6')(x)
