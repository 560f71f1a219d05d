"""How a plan of Inception becomes layers."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.typing import Dtype

from symjax.models import inception_plan as plan
from symjax.models.width import scale
from symjax.nn import AveragePool, Conv, ConvPolicy, Downsample, MaxPool

# A map, and the phase of the block it is in.
Carry = tuple[jax.Array, jax.Array | None]
# Takes one step of the plan; its layers are made in the module that calls.
Run = Callable[[Carry, plan.Step], Carry]


def make_run(width: float, policy: ConvPolicy, dtype: Dtype, train: bool) -> Run:
  """How to take the steps of a plan.

  Args:
    width: multiplies the channels of every unit.
    policy: of the convolutions and poolings.
    dtype: of the computation. Parameters are float32, or float64 if that is asked.
    train: whether BatchNorm takes the statistics of the batch.
  """
  params = np.promote_types(dtype, np.float32)
  unit = functools.partial(
    ConvUnit,
    width=width,
    policy=policy,
    conv=functools.partial(
      Conv, use_bias=False, policy=policy, dtype=dtype, param_dtype=params
    ),
    norm=functools.partial(
      nn.BatchNorm,
      use_running_average=not train,
      momentum=0.9,
      epsilon=1e-3,
      dtype=dtype,
      param_dtype=params,
    ),
  )
  return functools.partial(_run, unit=unit, policy=policy)


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
