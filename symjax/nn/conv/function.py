"""`conv2d` and `conv1d`: which algorithm, then the algorithm."""

import dataclasses

import jax
import jax.numpy as jnp

from symjax.errors import UserError
from symjax.nn.conv import passes, xla
from symjax.nn.conv.costs import CostTable, make_plan, shipped
from symjax.nn.conv.passes import ALGORITHMS, Plan
from symjax.nn.conv.problem import Problem
from symjax.nn.window import Widths, Window

CHOICES = ('auto', *ALGORITHMS)

_XLA = Plan('xla', 'xla', 'xla')


def conv2d(
  x: jax.Array,
  kernel: jax.Array,
  stride: tuple[int, int] = (1, 1),
  padding: tuple[Widths, Widths] = ((0, 0), (0, 0)),
  dilation: tuple[int, int] = (1, 1),
  groups: int = 1,
  algorithm: str = 'auto',
  costs: CostTable | None = None,
) -> jax.Array:
  """2-D cross-correlation of a map with a border of zeros.

  Differentiable in reverse mode as often as one likes, and by `jax.jvp` where XLA's own
  algorithm does all; under `jit`, `vmap`, and sharded.

  Args:
    x: [batch, height, width, channels].
    kernel: [kernel height, kernel width, channels / groups, features], of `x`'s dtype.
    stride: pixels between positions, (vertical, horizontal).
    padding: ((top, bottom), (left, right)) widths of the border in pixels.
    dilation: pixels between taps, (vertical, horizontal).
    groups: channel groups.
    algorithm: of all three passes, one of `CHOICES`. 'auto' takes for each the one that
      is fastest for its shapes: on a CPU, or if `costs` are given, by a table of
      measured times; on a GPU or TPU XLA's own. 'winograd' is for 3x3 taps at stride 1
      without groups. The largest errors in float32, relative to the largest output, are
      near 1e-6, and near 2e-6 of 'winograd'.
    costs: what 'auto' goes by; None is the table that comes with symjax.

  Returns:
    [batch, height', width', features], of `x`'s dtype.

  Raises:
    UserError: arrays that do not fit together, a window without a position on the map,
      or an algorithm that cannot do it.
  """
  window = Window((kernel.shape[0], kernel.shape[1]), stride, padding, dilation)
  problem = _problem(x, kernel, window, groups)
  if algorithm == 'auto' and (costs is not None or jax.default_backend() == 'cpu'):
    kernel, problem = _without_blind_taps(kernel, problem)
    plan = make_plan(problem, costs or shipped()) if _floats(x) else _XLA
  else:
    plan = _uniform_plan('xla' if algorithm == 'auto' else algorithm, problem, x)
  if plan == _XLA:
    return xla.forward(x, kernel, problem)
  return passes.forward(x, kernel, problem, plan)


def conv1d(
  x: jax.Array,
  kernel: jax.Array,
  stride: int = 1,
  padding: Widths = (0, 0),
  dilation: int = 1,
  groups: int = 1,
  algorithm: str = 'auto',
  costs: CostTable | None = None,
) -> jax.Array:
  """1-D cross-correlation of a signal with a border of zeros, as in `conv2d`.

  Args:
    x: [batch, length, channels].
    kernel: [taps, channels / groups, features].
    stride: samples between positions.
    padding: (before, after) in samples.
    dilation: samples between taps.
    groups: channel groups.
    algorithm: one of `CHOICES`.
    costs: what 'auto' goes by.

  Returns:
    [batch, length', features].

  Raises:
    UserError: as in `conv2d`.
  """
  if x.ndim != 3 or kernel.ndim != 3:
    raise UserError(
      'conv1d takes a signal [batch, length, channels] and a kernel [taps, channels, '
      f'features], not {x.shape} and {kernel.shape}'
    )
  y = conv2d(
    x[:, None],
    kernel[None],
    (1, stride),
    ((0, 0), padding),
    (1, dilation),
    groups,
    algorithm,
    costs,
  )
  return y[:, 0]


def _problem(x: jax.Array, kernel: jax.Array, window: Window, groups: int) -> Problem:
  """What is asked for, if it can be.

  Raises:
    UserError: it cannot.
  """
  if x.ndim != 4 or kernel.ndim != 4:
    raise UserError(
      'conv2d takes a map [batch, height, width, channels] and a kernel [height, '
      f'width, channels, features], not {x.shape} and {kernel.shape}'
    )
  if x.dtype != kernel.dtype:
    raise UserError(f'the map is {x.dtype} and the kernel {kernel.dtype}; cast one')
  if groups < 1 or x.shape[3] != groups * kernel.shape[2] or kernel.shape[3] % groups:
    raise UserError(
      f'a map of {x.shape[3]} channels in {groups} groups does not fit a kernel of '
      f'{kernel.shape[2]} channels and {kernel.shape[3]} features'
    )
  problem = Problem(
    x.shape[0], (x.shape[1], x.shape[2]), x.shape[3], kernel.shape[3], window, groups
  )
  if min(problem.output_size) < 1:
    raise UserError(
      f'a window of {window.kernel} taps, {window.dilation} apart, has no position on '
      f'a map of {problem.padded_size} pixels with its border'
    )
  return problem


def _uniform_plan(algorithm: str, problem: Problem, x: jax.Array) -> Plan:
  """One algorithm for all three passes.

  Raises:
    UserError: there is none of this name, or it cannot do this.
  """
  if algorithm not in ALGORITHMS:
    raise UserError(
      f'unknown algorithm {algorithm!r}; choose from {", ".join(CHOICES)}'
    )
  if algorithm in ('winograd', 'fft') and not _floats(x):
    raise UserError(
      f"'{algorithm}' convolves floating point, and the map is {x.dtype}; cast it, or "
      "take 'xla'"
    )
  if not ALGORITHMS[algorithm].supports(problem):
    window = problem.window
    raise UserError(
      f"'{algorithm}' takes 3x3 taps at stride 1 without dilation or groups, not "
      f'{window.kernel[0]}x{window.kernel[1]} at stride {window.stride}, dilation '
      f"{window.dilation}, {problem.groups} groups; take 'auto'"
    )
  return Plan(algorithm, algorithm, algorithm)


def _without_blind_taps(
  kernel: jax.Array, problem: Problem
) -> tuple[jax.Array, Problem]:
  """The same convolution without rows and columns of taps that see the border alone."""
  kept, widths = [], []
  for axis in range(2):
    low, high = problem.window.widths[axis]
    seen = _seeing_taps(problem, axis)
    dilation = problem.window.dilation[axis]
    kept.append(slice(seen.start, seen.stop))
    first, last = seen.start, problem.window.kernel[axis] - seen.stop
    widths.append((low - first * dilation, high - last * dilation))
  if widths == list(problem.window.widths) or any(min(pair) < 0 for pair in widths):
    return kernel, problem
  kernel = kernel[kept[0], kept[1]]
  window = dataclasses.replace(
    problem.window,
    kernel=(kernel.shape[0], kernel.shape[1]),
    widths=(widths[0], widths[1]),
  )
  return kernel, dataclasses.replace(problem, window=window)


def _seeing_taps(problem: Problem, axis: int) -> range:
  """The taps along an axis from the first to the last that ever see a pixel."""
  window = problem.window
  starts = range(
    -window.widths[axis][0],
    window.stride[axis] * problem.output_size[axis] - window.widths[axis][0],
    window.stride[axis],
  )
  seeing = [
    tap
    for tap in range(window.kernel[axis])
    if any(0 <= s + tap * window.dilation[axis] < problem.size[axis] for s in starts)
  ]
  if not seeing:
    return range(window.kernel[axis])
  return range(seeing[0], seeing[-1] + 1)


def _floats(x: jax.Array) -> bool:
  return bool(jnp.issubdtype(x.dtype, jnp.floating))
