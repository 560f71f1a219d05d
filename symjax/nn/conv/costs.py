"""Which algorithm is fastest, from times measured on shapes like it."""

import dataclasses
import functools
import importlib.resources
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import RBFInterpolator

from symjax.errors import UserError
from symjax.nn.conv.passes import ALGORITHMS, PASSES, Plan
from symjax.nn.conv.problem import Problem
from symjax.nn.window import Window

# How the logarithms of a problem's sizes weigh in its distance from others: of batch,
# positions, channels, features, taps and stride. They and the smoothing are the best of
# some dozens tried on an earlier table and on the shapes of `run.benchmark conv`.
_WEIGHTS = np.array([0.7, 1.0, 1.0, 1.0, 1.5, 1.5])
_SMOOTHING = 0.1
# A convolution of fewer multiplications takes less than a millisecond by any algorithm,
# and XLA's own is the quickest to compile.
_SMALL = 2e7


@dataclasses.dataclass(frozen=True)
class Measurement:
  """The times of one pass of one float32 convolution.

  Attributes:
    name: of the pass, one of `PASSES`.
    problem: its shapes.
    seconds: algorithm -> time, of those that can do it.
  """

  name: str
  problem: Problem
  seconds: Mapping[str, float]


@dataclasses.dataclass(frozen=True, eq=False)
class CostTable:
  """Measured times, and estimates of others from them.

  Attributes:
    hardware: where they were measured, in words.
    measurements: of every pass.
  """

  hardware: str
  measurements: tuple[Measurement, ...]

  def estimate(self, name: str, algorithm: str, problem: Problem) -> float | None:
    """Seconds that a pass takes, or None where no kernel as short was measured.

    Of a shape that was measured it is what was measured. For others the time of a
    multiplication, on a logarithmic scale, is interpolated between the measured shapes
    by a sum of radial functions (as in kriging with a linear variogram); beyond them it
    levels off.
    """
    measured = self._times.get((name, problem), {})
    if algorithm in measured:
      return measured[algorithm]
    known = self._rates.get((name, algorithm))
    if known is None:
      return None
    shortest, rate = known
    if max(problem.window.kernel) < shortest:
      return None
    return problem.multiplications * math.exp(float(rate(_place(problem)[None])[0]))

  def fastest(self, name: str, problem: Problem) -> str:
    """The algorithm of the least estimate, among those that can do it."""
    estimates = {
      algorithm: seconds
      for algorithm, module in ALGORITHMS.items()
      if module.supports(problem)
      and (seconds := self.estimate(name, algorithm, problem)) is not None
    }
    return min(estimates, key=lambda algorithm: estimates[algorithm], default='xla')

  def as_json(self) -> dict[str, Any]:
    """The table in plain values, which `parse` takes back; times in microseconds."""
    times: dict[Problem, dict[str, dict[str, float]]] = {}
    for row in self.measurements:
      times.setdefault(row.problem, {})[row.name] = {
        algorithm: round(1e6 * seconds, 1) for algorithm, seconds in row.seconds.items()
      }
    rows = [
      {
        'batch': problem.batch,
        'size': list(problem.size),
        'channels': problem.channels,
        'features': problem.features,
        'kernel': list(problem.window.kernel),
        'stride': list(problem.window.stride),
        'widths': [list(widths) for widths in problem.window.widths],
        'microseconds': microseconds,
      }
      for problem, microseconds in times.items()
    ]
    return {'hardware': self.hardware, 'measurements': rows}

  @functools.cached_property
  def _times(self) -> dict[tuple[str, Problem], Mapping[str, float]]:
    return {(row.name, row.problem): row.seconds for row in self.measurements}

  @functools.cached_property
  def _rates(self) -> dict[tuple[str, str], tuple[int, RBFInterpolator]]:
    """(pass, algorithm) -> the shortest kernel measured, and rates by place."""
    measured: dict[tuple[str, str], list[tuple[Problem, float]]] = {}
    for row in self.measurements:
      for algorithm, seconds in row.seconds.items():
        rate = math.log(seconds / row.problem.multiplications)
        measured.setdefault((row.name, algorithm), []).append((row.problem, rate))
    return {
      key: (
        min(max(problem.window.kernel) for problem, _ in rows),
        RBFInterpolator(
          np.stack([_place(problem) for problem, _ in rows]),
          np.array([rate for _, rate in rows]),
          kernel='linear',
          degree=0,
          smoothing=_SMOOTHING,
        ),
      )
      for key, rows in measured.items()
    }


def make_plan(problem: Problem, table: CostTable) -> Plan:
  """The fastest algorithm of each pass.

  XLA's own is left to do what was not measured, channel groups and dilated kernels, and
  where nothing is to be gained.
  """
  unknown = problem.groups > 1 or problem.window.dilation != (1, 1)
  if unknown or problem.multiplications < _SMALL:
    return Plan('xla', 'xla', 'xla')
  return Plan(*(table.fastest(name, problem) for name in PASSES))


@functools.cache
def shipped() -> CostTable:
  """The times of a CPU of two cores with AVX-512, which come with symjax."""
  file = importlib.resources.files('symjax.nn.conv') / 'cpu_costs.json'
  return parse(json.loads(file.read_text()))


def read_cost_table(path: str | Path) -> CostTable:
  """A table that `run.benchmark conv --calibrate` wrote.

  Raises:
    UserError: the file cannot be read, or holds something else.
  """
  try:
    return parse(json.loads(Path(path).read_text()))
  except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
    raise UserError(
      f'{path} holds no cost table of convolutions ({error}); write one by '
      '`python -m run.benchmark conv --calibrate=FILE`'
    ) from error


def parse(table: Mapping[str, Any]) -> CostTable:
  """A table from what `CostTable.as_json` made of it.

  Raises:
    KeyError, TypeError, ValueError: it is something else.
  """
  measurements = tuple(
    Measurement(name, problem, _seconds(name, microseconds))
    for row in table['measurements']
    for problem in [_problem(row)]
    for name, microseconds in row['microseconds'].items()
  )
  if not measurements:
    raise ValueError('it has no measurements')
  return CostTable(str(table['hardware']), measurements)


def _problem(row: Mapping[str, Any]) -> Problem:
  (down, across), (height, width) = row['stride'], row['kernel']
  (top, bottom), (left, right) = row['widths']
  window = Window((height, width), (down, across), ((top, bottom), (left, right)))
  rows, columns = row['size']
  return Problem(
    row['batch'], (rows, columns), row['channels'], row['features'], window
  )


def _seconds(name: str, microseconds: Mapping[str, float]) -> dict[str, float]:
  if not isinstance(microseconds, Mapping):
    raise ValueError(f'no times of algorithms for {name}')
  if name not in PASSES or not set(microseconds) <= set(ALGORITHMS):
    raise ValueError(f'unknown pass or algorithm in {name}: {dict(microseconds)}')
  if not all(0 < value < math.inf for value in microseconds.values()):
    raise ValueError(f'a time that is not positive in {name}: {dict(microseconds)}')
  return {algorithm: value / 1e6 for algorithm, value in microseconds.items()}


def _place(problem: Problem) -> np.ndarray:
  """Where a problem lies among others: weighted logarithms of its sizes."""
  return _WEIGHTS * np.log2(
    [
      problem.batch,
      math.prod(problem.output_size),
      problem.channels,
      problem.features,
      math.prod(problem.window.kernel),
      math.prod(problem.window.stride),
    ]
  )
