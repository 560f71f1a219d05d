"""The three passes of a convolution, each with an algorithm of its own.

A convolution is linear in its map and in its kernel. So each of the three passes is the
cotangent of the others, and what follows is complete: it can be differentiated in
reverse mode as often as one likes, and every pass that arises runs by its own choice.
"""

import dataclasses
import functools
from types import ModuleType

import jax

from symjax.nn.conv import fft, im2col, winograd, xla
from symjax.nn.conv.problem import Problem

ALGORITHMS: dict[str, ModuleType] = {
  'xla': xla,
  'im2col': im2col,
  'winograd': winograd,
  'fft': fft,
}
PASSES = ('forward', 'input_gradient', 'kernel_gradient')


@dataclasses.dataclass(frozen=True)
class Plan:
  """The algorithm of each pass, by its name in `ALGORITHMS`."""

  forward: str
  input_gradient: str
  kernel_gradient: str


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def forward(x: jax.Array, kernel: jax.Array, problem: Problem, plan: Plan) -> jax.Array:
  """[batch, height', width', features] of a map and a kernel of one dtype."""
  return ALGORITHMS[plan.forward].forward(x, kernel, problem)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def input_gradient(
  dy: jax.Array, kernel: jax.Array, problem: Problem, plan: Plan
) -> jax.Array:
  """The cotangent of the map, [batch, height, width, channels]."""
  return ALGORITHMS[plan.input_gradient].input_gradient(dy, kernel, problem)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def kernel_gradient(
  x: jax.Array, dy: jax.Array, problem: Problem, plan: Plan
) -> jax.Array:
  """The cotangent of the kernel, [height, width, channels / groups, features]."""
  return ALGORITHMS[plan.kernel_gradient].kernel_gradient(x, dy, problem)


Pair = tuple[jax.Array, jax.Array]


def _forward(
  x: jax.Array, kernel: jax.Array, problem: Problem, plan: Plan
) -> tuple[jax.Array, Pair]:
  return forward(x, kernel, problem, plan), (x, kernel)


def _of_forward(problem: Problem, plan: Plan, saved: Pair, dy: jax.Array) -> Pair:
  x, kernel = saved
  return (
    input_gradient(dy, kernel, problem, plan),
    kernel_gradient(x, dy, problem, plan),
  )


def _input_gradient(
  dy: jax.Array, kernel: jax.Array, problem: Problem, plan: Plan
) -> tuple[jax.Array, Pair]:
  return input_gradient(dy, kernel, problem, plan), (dy, kernel)


def _of_input_gradient(problem: Problem, plan: Plan, saved: Pair, x: jax.Array) -> Pair:
  dy, kernel = saved
  return forward(x, kernel, problem, plan), kernel_gradient(x, dy, problem, plan)


def _kernel_gradient(
  x: jax.Array, dy: jax.Array, problem: Problem, plan: Plan
) -> tuple[jax.Array, Pair]:
  return kernel_gradient(x, dy, problem, plan), (x, dy)


def _of_kernel_gradient(
  problem: Problem, plan: Plan, saved: Pair, kernel: jax.Array
) -> Pair:
  x, dy = saved
  return input_gradient(dy, kernel, problem, plan), forward(x, kernel, problem, plan)


forward.defvjp(_forward, _of_forward)
input_gradient.defvjp(_input_gradient, _of_input_gradient)
kernel_gradient.defvjp(_kernel_gradient, _of_kernel_gradient)
