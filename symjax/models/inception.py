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
from symjax.nn import (
  AveragePool,
  Conv,
  ConvPolicy,
  Downsample,
  MaxPool,
  sampling_phase,
)
from symjax.nn.initializers import uniform_fan_in

# A map, and the phase of the block it is in.
Carry = tuple[jax.Array, jax.Array | None]
Run = Callable[[Carry, plan.Step], Carry]


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
      the three branches of a reduction keep the same positions. Layers without padding
      leave maps that do not go round, so that 'aps' is never exact here.
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

    In training the auxiliary head runs, dropout draws from the rng `dropout`, and
    balanced layers from `phase`.
    """
    params = np.promote_types(self.dtype, np.float32)
    unit = functools.partial(
      ConvUnit,
      width=self.width,
      policy=self.policy,
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


class ConvUnit(nn.Module):
  """A convolution, BatchNorm and ReLU: torchvision's `BasicConv2d`.

  Attributes:
    step: of the plan.
    width: multiplies its channels.
    policy: how its stride is taken.
    conv: makes a convolution without bias.
    norm: makes a BatchNorm.
  """

  step: plan.Unit
  width: float
  policy: ConvPolicy
  conv: Callable[..., nn.Module]
  norm: Callable[..., nn.Module]

  @nn.compact
  def __call__(self, x: jax.Array, phase: jax.Array | None) -> Carry:
    """Takes [batch, height, width, channels] to [batch, height', width', features].

    Also returns the phase that branches beside this one have to follow.
    """
    strides = (self.step.stride, self.step.stride)
    conv = self.conv(
      scale(self.step.features, self.width),
      self.step.kernel,
      self.policy.convolution_strides(strides),
      None if self.step.border else ((0, 0), (0, 0)),
      kernel_init=nn.initializers.normal(self.step.std),
      name='conv',
    )
    x = nn.relu(self.norm(name='bn')(conv(x, phase)))
    sampling = Downsample(strides, self.policy, name='sampling')
    phase = sampling.phase(x, phase) if phase is None else phase
    return sampling(x, phase), phase


class Mixed(nn.Module):
  """Branches side by side, joined along the channels.

  Attributes:
    branches: of the plan.
    run: takes a step of the plan.
  """

  branches: plan.Block
  run: Run

  @nn.compact
  def __call__(self, x: jax.Array, phase: jax.Array | None) -> jax.Array:
    """[batch, height', width', features] of [batch, height, width, channels]."""
    outputs = []
    for branch in self.branches:
      y, phase = functools.reduce(self.run, branch, (x, phase))
      outputs.append(y)
    return jnp.concatenate(outputs, axis=-1)


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


def _run(
  carry: Carry, step: plan.Step, unit: Callable[..., nn.Module], policy: ConvPolicy
) -> Carry:
  """Takes one step of the plan, whose layers are made in the module that calls."""
  x, phase = carry
  if isinstance(step, tuple):
    forks = [unit(one, name=one.name)(x, phase)[0] for one in step]
    return jnp.concatenate(forks, axis=-1), phase
  if isinstance(step, plan.Unit):
    return unit(step, name=step.name)(x, phase)
  kernel, strides = (step.kernel, step.kernel), (step.stride, step.stride)
  margin = step.kernel // 2 if step.border else 0
  widths = ((margin, margin), (margin, margin))
  if step.kind == 'max':
    return MaxPool(kernel, strides, widths, policy, name=step.name)(x, phase), phase
  return AveragePool(kernel, strides, widths, policy, name=step.name)(x), phase


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
