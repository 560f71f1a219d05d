"""AlexNet (Krizhevsky, arXiv:1404.5997: the one column of "one weird trick")."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.typing import Dtype

from symjax.models.width import require_channels, scale
from symjax.nn import (
  Conv,
  ConvPolicy,
  Downsample,
  MaxPool,
  adaptive_average_pool,
  sampling_phase,
)
from symjax.nn.initializers import uniform_fan_in

# Index in torchvision's Sequential -> features, kernel, stride and padding.
CONVOLUTIONS = {
  0: (64, 11, 4, 2),
  3: (192, 5, 1, 2),
  6: (384, 3, 1, 1),
  8: (256, 3, 1, 1),
  10: (256, 3, 1, 1),
}
POOLINGS = {0: 2, 3: 5, 10: 12}  # Index of a convolution -> that of its pooling.


class AlexNet(nn.Module):
  """AlexNet as in torchvision: its arithmetic, its start, its layer numbers.

  Layer `features.3` of torchvision is `features_3` here. There is no normalisation;
  the start is PyTorch's default, which is not He's.

  Attributes:
    num_classes: logits.
    width: multiplies the channels of every layer, the classifier's included.
    policy: of the convolutions and poolings. Under 'blur' the first convolution keeps
      half of its stride, as in Zhang's network (arXiv:1904.11486), and under 'aps'
      nothing. Neither it nor the poolings pad enough to go round a circular map.
    dtype: of the computation. Parameters are float32, or float64 if that is asked.
  """

  num_classes: int
  width: float = 1.0
  policy: ConvPolicy = ConvPolicy()
  dtype: Dtype = jnp.float32

  def __post_init__(self) -> None:
    super().__post_init__()
    require_channels(self.width, CONVOLUTIONS[0][0])

  @property
  def normalized_kernels(self) -> tuple[str, ...]:
    """None: there is no normalisation."""
    return ()

  @nn.compact
  def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
    """Logits [batch, num_classes] of images [batch, height, width, channels].

    In training, dropout draws from the rng `dropout`, and balanced layers from `phase`.
    """
    draw = functools.partial(sampling_phase, self, self.policy, train=train)
    phases = (draw(index) for index in itertools.count())  # One for a strided layer.
    x = images.astype(self.dtype)
    for index, (features, kernel, stride, margin) in CONVOLUTIONS.items():
      start = uniform_fan_in(kernel * kernel * x.shape[-1])
      phase = next(phases) if stride > 1 else None
      own = self._own_stride(stride)
      x = Conv(
        scale(features, self.width),
        (kernel, kernel),
        (own, own),
        ((margin, margin), (margin, margin)),
        policy=self.policy,
        dtype=self.dtype,
        param_dtype=np.promote_types(self.dtype, np.float32),
        kernel_init=start,
        bias_init=start,
        name=f'features_{index}',
      )(x, phase)
      rest = (stride // own, stride // own)
      x = Downsample(rest, self.policy, name=f'sampling_{index}')(nn.relu(x), phase)
      if index in POOLINGS:
        name = f'features_{POOLINGS[index]}'
        pool = MaxPool((3, 3), (2, 2), policy=self.policy, name=name)
        x = pool(x, next(phases))

    x = adaptive_average_pool(x, (6, 6)).reshape(x.shape[0], -1)
    for index in (1, 4):
      x = nn.Dropout(0.5, deterministic=not train)(x)
      x = nn.relu(self._dense(x, scale(4096, self.width), f'classifier_{index}'))
    return self._dense(x, self.num_classes, 'classifier_6')

  def _own_stride(self, stride: int) -> int:
    """What is left to a convolution of its stride; a `Downsample` takes the rest."""
    match self.policy.downsampling:
      case 'blur':
        return max(stride // 2, 1)
      case 'aps':
        return 1
    return stride

  def _dense(self, x: jax.Array, features: int, name: str) -> jax.Array:
    start = uniform_fan_in(x.shape[-1])
    return nn.Dense(
      features,
      dtype=self.dtype,
      param_dtype=np.promote_types(self.dtype, np.float32),
      kernel_init=start,
      bias_init=start,
      name=name,
    )(x)
