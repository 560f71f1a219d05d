"""What choosing the algorithm of a convolution by its shape is worth."""

import json
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from symjax import records
from symjax.experiments.benchmark.calibration import (
  calibrate,
  keep_freed_memory,
  large_kernel_problems,
  measure,
  random_problems,
  resnet_problems,
  vgg_problems,
)
from symjax.experiments.benchmark.compare import compare
from symjax.nn import Conv, ConvPolicy, GroupConv
from symjax.nn.conv import costs
from symjax.nn.conv.costs import CostTable, Measurement
from symjax.nn.conv.passes import ALGORITHMS
from symjax.nn.conv.problem import Problem
from symjax.progress import progress

_BATCH = 64
_DRAWN, _SEED = 180, 0  # Random shapes of a calibration.
_UNSEEN, _UNSEEN_SEED = 48, 1  # Of the benchmark's own.
_CLOSE = 1.1  # Times the fastest.


def calibrate_into(path: Path, own: Sequence[Problem] = ()) -> Iterator[dict[str, Any]]:
  """Times convolutions on this machine, and writes the table for 'auto' to go by.

  Args:
    path: of the table.
    own: shapes to measure beside those that networks of all kinds have.

  Yields:
    `conv_calibration`: how good the choice is at shapes that are left out of the table
    in turn.
  """
  problems = vgg_problems(_BATCH) + resnet_problems(_BATCH) + large_kernel_problems()
  problems += random_problems(_DRAWN, _SEED)
  table = calibrate(list(dict.fromkeys([*own, *problems])))
  records.write_bytes(path, _one_line_each(table).encode())
  yield _quality('conv_calibration', leave_out(table))


def _one_line_each(table: CostTable) -> str:
  """The table as JSON with a line for each shape, of which there are hundreds."""
  plain = table.as_json()
  rows = ',\n'.join(json.dumps(row) for row in plain['measurements'])
  hardware = json.dumps(plain['hardware'])
  return f'{{"hardware": {hardware}, "measurements": [\n{rows}\n]}}\n'


def benchmark_conv(table: CostTable | None = None) -> Iterator[dict[str, Any]]:
  """Forward and backward of single layers, 'auto' against plain XLA.

  Args:
    table: by which 'auto' chooses; None is the one that comes with symjax.

  Yields:
    `conv_auto`: the share of measured passes, of random layers none of which is in the
    table, at which the chosen algorithm is within 10% of the fastest. `conv_layer`: a
    layer's forward and backward passes, for VGG-16's layers. `conv_memory`: what im2col
    keeps, as a multiple of what XLA's path does. `conv_group`: a p4m layer against the
    plain one of the same multiplications.
  """
  known = table or costs.shipped()
  unseen = random_problems(_UNSEEN, _UNSEEN_SEED)
  seen = {row.problem for row in known.measurements}
  keep_freed_memory()
  measurements = [
    measurement
    for problem in progress(unseen, 'timing convolutions')
    if problem not in seen
    for measurement in measure(problem)
  ]
  yield _quality('conv_auto', [(known, row) for row in measurements])
  for problem in vgg_problems(_BATCH):
    yield _layer(problem, table) | {'layer': _describe(problem)}
  yield _memory(vgg_problems(_BATCH)[1])
  yield _group()


def leave_out(table: CostTable) -> Iterator[tuple[CostTable, Measurement]]:
  """Each measurement with the table of those of all other problems."""
  problems = {row.problem: None for row in table.measurements}
  for left in progress(problems, 'leaving out shapes'):
    others = tuple(row for row in table.measurements if row.problem != left)
    rest = CostTable(table.hardware, others)
    yield from ((rest, row) for row in table.measurements if row.problem == left)


def _quality(
  name: str, cases: Iterable[tuple[CostTable, Measurement]]
) -> dict[str, Any]:
  """How often, and by how much, the choice misses the fastest."""
  chosen = [
    (row.seconds[table.fastest(row.name, row.problem)], row) for table, row in cases
  ]
  losses = sorted(seconds / min(row.seconds.values()) for seconds, row in chosen)
  return {
    'benchmark': name,
    'ratio': sum(seconds for seconds, _ in chosen)
    / sum(row.seconds['xla'] for _, row in chosen),
    'against': "plain XLA, the sum of all passes' times",
    'passes': len(losses),
    'within_10_percent': sum(loss <= _CLOSE for loss in losses) / len(losses),
    'loss_at_95_percent': losses[int(0.95 * (len(losses) - 1))],
    'mean_loss': statistics.geometric_mean(losses),
  }


def _layer(problem: Problem, table: CostTable | None) -> dict[str, Any]:
  return compare(
    'conv_layer',
    _both_passes(problem, ConvPolicy(costs=table)),
    _both_passes(problem, ConvPolicy(algorithm='xla')),
    'lax.conv_general_dilated and its gradients',
    repeats=7,
  )


def _both_passes(problem: Problem, policy: ConvPolicy) -> Callable[[], None]:
  """A function that runs a layer, and the gradients of its input and kernel."""
  layer = Conv(problem.features, use_bias=False, policy=policy)
  x = _normal(problem.batch, *problem.size, problem.channels)
  return _gradients(layer, x)


def _gradients(layer: Any, x: jax.Array) -> Callable[[], None]:
  params = jax.jit(layer.init)(jax.random.key(0), x)
  work = _gradient(layer)
  return lambda: jax.block_until_ready(work(params, x))


def _gradient(layer: Any) -> Any:
  """The jitted gradient of a layer's energy in its kernel and its input."""

  def energy(params: Any, x: jax.Array) -> jax.Array:
    return jnp.square(layer.apply(params, x)).sum()

  return jax.jit(jax.grad(energy, argnums=(0, 1)))


def _memory(problem: Problem) -> dict[str, Any]:
  """Bytes that the passes keep beside their arguments and results."""

  def kept(algorithm: str) -> int:
    layer: Any = Conv(
      problem.features, use_bias=False, policy=ConvPolicy(algorithm=algorithm)
    )
    x = jax.ShapeDtypeStruct(
      (problem.batch, *problem.size, problem.channels), jnp.float32
    )
    params = jax.eval_shape(layer.init, jax.random.key(0), x)
    memory: Any = _gradient(layer).lower(params, x).compile().memory_analysis()
    return int(memory.temp_size_in_bytes)

  bytes_kept = {name: kept(name) for name in ALGORITHMS}
  return {
    'benchmark': 'conv_memory',
    'ratio': bytes_kept['im2col'] / bytes_kept['xla'],
    'against': 'lax.conv_general_dilated and its gradients, temporary bytes',
    'layer': _describe(problem),
    'bytes': bytes_kept,
  }


def _group() -> dict[str, Any]:
  """A p4m layer and the plain layer of as many planes."""
  side, channels, order = 16, 16, 8
  shape = (_BATCH, side, side, order, channels)
  group = GroupConv(channels, 'p4m', use_bias=False)
  plain = Conv(order * channels, use_bias=False)
  return compare(
    'conv_group',
    _gradients(group, _normal(*shape)),
    _gradients(plain, _normal(*shape[:3], order * channels)),
    f'the plain 3x3 layer of {order * channels} channels, same multiplications',
    repeats=15,
  )


def _normal(*shape: int) -> jax.Array:
  return jnp.asarray(np.random.default_rng(0).standard_normal(shape, np.float32))


def _describe(problem: Problem) -> str:
  side, taps = problem.size[0], problem.window.kernel[0]
  return (
    f'{taps}x{taps}, {problem.channels} to {problem.features} channels, '
    f'{side}x{side}, batch {problem.batch}'
  )
