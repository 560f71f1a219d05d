"""XLA's own convolution, which on GPU and TPU is the vendor's."""

import jax
from jax import lax

from symjax.nn.conv.problem import Problem


def supports(problem: Problem) -> bool:
  """Whether this algorithm can do it: always."""
  del problem
  return True


def forward(x: jax.Array, kernel: jax.Array, problem: Problem) -> jax.Array:
  """[batch, height', width', features] of `x` and `kernel`."""
  return lax.conv_general_dilated(
    x,
    kernel,
    window_strides=problem.window.stride,
    padding=problem.window.widths,
    rhs_dilation=problem.window.dilation,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    feature_group_count=problem.groups,
  )


def input_gradient(dy: jax.Array, kernel: jax.Array, problem: Problem) -> jax.Array:
  """The cotangent of the map, [batch, height, width, channels]."""
  shape = (problem.batch, *problem.size, problem.channels)
  x = jax.ShapeDtypeStruct(shape, dy.dtype)
  (dx,) = jax.linear_transpose(lambda x: forward(x, kernel, problem), x)(dy)
  return dx


def kernel_gradient(x: jax.Array, dy: jax.Array, problem: Problem) -> jax.Array:
  """The cotangent of the kernel, [height, width, channels / groups, features]."""
  channels = problem.channels // problem.groups
  shape = (*problem.window.kernel, channels, problem.features)
  kernel = jax.ShapeDtypeStruct(shape, x.dtype)
  (dk,) = jax.linear_transpose(lambda kernel: forward(x, kernel, problem), kernel)(dy)
  return dk
