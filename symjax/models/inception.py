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
from symjax.models.width import require_channels, scale
from symjax.nn import AveragePool, Conv, ConvPolicy, MaxPool
from symjax.nn.initializers import uniform_fan_in

Run = Callable[[jax.Array, plan.Step], jax.Array]


class InceptionV3(nn.Module):
  """Inception-v3 as in torchvision: its arithmetic, its start, its names.

  torchvision's weights were trained on images from -1 to 1: normalise with a mean and
  standard deviation of 0.5, which is what its `transform_input` comes to.

  Attributes:
    num_classes: logits.
    width: multiplies the channels of every layer.
    auxiliary: whether there is a second head at 17x17, for training. Its logits
      [batch, num_classes] are sown into `intermediates` as `auxiliary_logits`.
    policy: border of the convolutions and average poolings.
    dtype: of the computation. Parameters are float32, or float64 if that is asked.

  Raises:
    UserError: no channels, or a border that does not keep the size of maps.
  """

  num_classes: int
  width: float = 1.0
  auxiliary: bool = True
  policy: ConvPolicy = ConvPolicy()
  dtype: Dtype = jnp.float32

  def __post_init__(self) -> None:
    super().__post_init__()
    require_channels(self.width, 32)
    if self.policy.padding == 'valid':
      raise UserError(
        "padding 'valid' shrinks the maps that an Inception network joins; choose "
        'another padding'
      )

  @property
  def normalized_kernels(self) -> tuple[str, ...]:
    """The convolutions."""
    return (r'.*/conv/kernel',)

  @nn.compact
  def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
    """Logits [batch, num_classes] of images [batch, height, width, channels].

    In training, dropout draws from the rng `dropout`, and the auxiliary head runs.
    """
    params = np.promote_types(self.dtype, np.float32)
    unit = functools.partial(
      ConvUnit,
      width=self.width,
      conv=functools.partial(
        Conv, use_bias=False, policy=self.policy, dtype=self.dtype, param_dtype=params
      ),
      norm=functools.partial(
        nn.BatchNorm,
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-3,
        dtype=self.dtype,
        param_dtype=params,
      ),
    )
    run = functools.partial(_run, unit=unit, policy=self.policy)
    dense = functools.partial(
      _dense, features=self.num_classes, dtype=self.dtype, param_dtype=params
    )

    x = functools.reduce(run, plan.STEM, images.astype(self.dtype))
    for name, branches in plan.BLOCKS.items():
      x = Mixed(branches, run, name=name)(x)
      # The head's parameters are made even where the network starts in evaluation.
      used = train or self.is_initializing()
      if self.auxiliary and used and name == plan.AUXILIARY_INPUT:
        logits = AuxiliaryHead(run, dense, name='AuxLogits')(x)
        self.sow('intermediates', 'auxiliary_logits', logits)
    x = nn.Dropout(0.5, deterministic=not train)(x.mean(axis=(1, 2)))
    return dense(x, std=0.1)


class ConvUnit(nn.Module):
  """A convolution, BatchNorm and ReLU: torchvision's `BasicConv2d`.

  Attributes:
    step: of the plan.
    width: multiplies its channels.
    conv: makes a convolution without bias.
    norm: makes a BatchNorm.
  """

  step: plan.Unit
  width: float
  conv: Callable[..., nn.Module]
  norm: Callable[..., nn.Module]

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[batch, height', width', features] of [batch, height, width, channels]."""
    conv = self.conv(
      scale(self.step.features, self.width),
      self.step.kernel,
      (self.step.stride, self.step.stride),
      None if self.step.border else ((0, 0), (0, 0)),
      kernel_init=nn.initializers.normal(self.step.std),
      name='conv',
    )
    return nn.relu(self.norm(name='bn')(conv(x)))


class Mixed(nn.Module):
  """Branches side by side, joined along the channels.

  Attributes:
    branches: of the plan.
    run: (map, step of the plan) -> map.
  """

  branches: plan.Block
  run: Run

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[batch, height', width', features] of [batch, height, width, channels]."""
    outputs = [functools.reduce(self.run, branch, x) for branch in self.branches]
    return jnp.concatenate(outputs, axis=-1)


class AuxiliaryHead(nn.Module):
  """The second head, which is only there for its gradient.

  Attributes:
    run: (map, step of the plan) -> map.
    dense: makes the logits of features.
  """

  run: Run
  dense: Callable[..., jax.Array]

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Logits [batch, num_classes] of a map [batch, height, width, channels]."""
    x = functools.reduce(self.run, plan.AUXILIARY, x)
    return self.dense(x.mean(axis=(1, 2)), std=0.001)


def _run(
  x: jax.Array, step: plan.Step, unit: Callable[..., nn.Module], policy: ConvPolicy
) -> jax.Array:
  """The map behind one step of the plan; makes its layers in the module that calls."""
  if isinstance(step, tuple):
    return jnp.concatenate([unit(u, name=u.name)(x) for u in step], axis=-1)
  if isinstance(step, plan.Unit):
    return unit(step, name=step.name)(x)
  margin = step.kernel // 2 if step.border else 0
  pool = {'max': MaxPool, 'average': AveragePool}[step.kind](
    (step.kernel, step.kernel),
    (step.stride, step.stride),
    ((margin, margin), (margin, margin)),
    policy=policy,
    name=step.name,
  )
  return pool(x)


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
