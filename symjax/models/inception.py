"""Inception-v3 (Szegedy et al., arXiv:1512.00567)."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.typing import Dtype

from symjax.errors import UserError
from symjax.models import inception_plan as plan
from symjax.models.border import require_border
from symjax.models.inception_blocks import Carry, Mixed, Run, make_run
from symjax.models.width import require_channels
from symjax.nn import ConvPolicy, sampling_phase
from symjax.nn.initializers import uniform_fan_in


class InceptionV3(nn.Module):
  """Inception-v3 as in torchvision: its arithmetic, its start, its names.

  torchvision's weights were trained on images from -1 to 1: normalise with a mean and
  standard deviation of 0.5, which is what its `transform_input` comes to.

  Attributes:
    num_classes: logits.
    width: multiplies the channels of every layer.
    auxiliary: whether there is a second head at 17x17, for training. Its logits
      [batch, num_classes] are sown into `intermediates` as `auxiliary_logits`.
    policy: of the convolutions and poolings. Strided units and poolings, of which no
      anti-aliased original is known, become dense ones with a `Downsample` behind them;
      the three branches of a reduction keep the same positions.
    dtype: of the computation. Parameters are float32, or float64 if that is asked.

  Raises:
    UserError: no channels, a border that does not keep the size of maps, or 'aps' on
      circular maps, which layers without padding leave.
  """

  num_classes: int
  width: float = 1.0
  auxiliary: bool = True
  policy: ConvPolicy = ConvPolicy()
  dtype: Dtype = jnp.float32

  def __post_init__(self) -> None:
    super().__post_init__()
    require_channels(self.width, 32)
    require_border(self.policy, 'an Inception network joins')
    if (self.policy.padding, self.policy.downsampling) == ('circular', 'aps'):
      raise UserError(
        "downsampling 'aps' takes poolings round 'circular' maps, and Inception joins "
        'them with those of convolutions that do not pad; choose another padding'
      )

  @property
  def normalized_kernels(self) -> tuple[str, ...]:
    """The convolutions."""
    return (r'.*/conv/kernel',)

  @nn.compact
  def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
    """Logits [batch, num_classes] of images [batch, height, width, channels].

    In training the auxiliary head runs, dropout draws from the rng `dropout`, and
    balanced layers from `phase`.
    """
    run = make_run(self.width, self.policy, self.dtype, train)
    dense = functools.partial(
      _dense,
      features=self.num_classes,
      dtype=self.dtype,
      param_dtype=np.promote_types(self.dtype, np.float32),
    )

    x = images.astype(self.dtype)
    for step in plan.STEM:
      x, _ = run((x, self._phase(step.name, train)), step)
    for name, branches in plan.BLOCKS.items():
      x = Mixed(branches, run, name=name)(x, self._phase(name, train))
      # The head's parameters are made even where the network starts in evaluation.
      used = train or self.is_initializing()
      if self.auxiliary and used and name == plan.AUXILIARY_INPUT:
        logits = AuxiliaryHead(run, dense, name='AuxLogits')(x)
        self.sow('intermediates', 'auxiliary_logits', logits)
    x = nn.Dropout(0.5, deterministic=not train)(x.mean(axis=(1, 2)))
    return dense(x, std=0.1)

  def _phase(self, name: str, train: bool) -> jax.Array | None:
    if name not in plan.STRIDED:
      return None
    return sampling_phase(self, self.policy, plan.STRIDED.index(name), train)


class AuxiliaryHead(nn.Module):
  """The second head, which is only there for its gradient.

  Attributes:
    run: takes a step of the plan.
    dense: makes the logits of features.
  """

  run: Run
  dense: Callable[..., jax.Array]

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Logits [batch, num_classes] of a map [batch, height, width, channels]."""
    carry: Carry = (x, None)
    x, _ = functools.reduce(self.run, plan.AUXILIARY, carry)
    return self.dense(x.mean(axis=(1, 2)), std=0.001)


def _dense(
  x: jax.Array, features: int, std: float, dtype: Dtype, param_dtype: Dtype
) -> jax.Array:
  layer = nn.Dense(
    features,
    dtype=dtype,
    param_dtype=param_dtype,
    kernel_init=nn.initializers.normal(std),
    bias_init=uniform_fan_in(x.shape[-1]),
    name='fc',
  )
  return layer(x)
