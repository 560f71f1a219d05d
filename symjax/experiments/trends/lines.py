"""Trend lines, and whether the points of one group lie above those of another."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from symjax.errors import UserError
from symjax.statistics import LEVEL

Points = tuple[Sequence[float], Sequence[float]]  # The x and the y of each.


@dataclasses.dataclass(frozen=True)
class Line:
  """y = intercept + slope x, and where it was fitted.

  Attributes:
    intercept: at x = 0.
    slope: of y by x.
    low: the smallest x of the points; the line is an extrapolation below it,
    high: and above the largest.
  """

  intercept: float
  slope: float
  low: float
  high: float

  def at(self, x: float) -> float:
    """Its height."""
    return self.intercept + self.slope * x


@dataclasses.dataclass(frozen=True)
class Offset:
  """How far one group of points lies above another at equal x.

  Attributes:
    mean: the distance between two lines of one slope, one through each group, which
      are fitted together by least squares.
    interval: (low, high), its 95% confidence interval.
    t: `mean` over its standard error.
    degrees_of_freedom: points minus 3.
    p: two-sided, of no distance.
    slope: of both lines.
    p_parallel: two-sided, of the two groups having one slope, which the distance
      presumes; None where a group has too few points to tell.
  """

  mean: float
  interval: tuple[float, float]
  t: float
  degrees_of_freedom: int
  p: float
  slope: float
  p_parallel: float | None


def fit_line(points: Points) -> Line:
  """The least squares line of y by x.

  Raises:
    UserError: fewer than two different x.
  """
  x, y = _arrays(points)
  design = np.stack([np.ones_like(x), x], axis=1)
  intercept, slope = np.linalg.lstsq(design, y, rcond=None)[0]
  return Line(float(intercept), float(slope), float(x.min()), float(x.max()))


def offset_test(first: Points, second: Points) -> Offset:
  """Analysis of covariance of two groups: whether the first lies above the second.

  The points count as independent, which networks of one family are not quite.

  Args:
    first: x and y of the first group's points.
    second: likewise.

  Raises:
    UserError: fewer than four points in all, or a group with a single x.
  """
  (x, y), (other_x, other_y) = _arrays(first), _arrays(second)
  if len(x) + len(other_x) < 4:
    raise UserError('to compare two trend lines takes four points or more in all')
  member = np.concatenate([np.ones_like(x), np.zeros_like(other_x)])
  every_x, every_y = np.concatenate([x, other_x]), np.concatenate([y, other_y])
  # Centred, so that the columns of the design are well apart.
  centred = every_x - every_x.mean()
  columns = [np.ones_like(centred), centred, member]
  values, errors = _least_squares(columns, every_y)
  freedom = len(every_y) - 3
  t, p = _t_test(values[2], errors[2], freedom)
  reach = float(stats.t.isf((1 - LEVEL) / 2, freedom)) * errors[2]
  parallel = None
  if len(every_y) > 4:
    crossed, deviations = _least_squares([*columns, member * centred], every_y)
    parallel = _t_test(crossed[3], deviations[3], len(every_y) - 4)[1]
  return Offset(
    mean=values[2],
    interval=(values[2] - reach, values[2] + reach),
    t=t,
    degrees_of_freedom=freedom,
    p=p,
    slope=values[1],
    p_parallel=parallel,
  )


def _arrays(points: Points) -> tuple[np.ndarray, np.ndarray]:
  x, y = (np.asarray(values, float) for values in points)
  if len(np.unique(x)) < 2:
    raise UserError(
      f'a trend line takes two points of different accuracy, and a group has {len(x)}'
      f'{" of the same" if len(x) > 1 else ""}'
    )
  return x, y


def _least_squares(
  columns: Sequence[np.ndarray], y: np.ndarray
) -> tuple[list[float], list[float]]:
  """The coefficients of the columns, and their standard errors."""
  design = np.stack(columns, axis=1)
  inverse = np.linalg.inv(design.T @ design)
  values = inverse @ design.T @ y
  residual = y - design @ values
  variance = residual @ residual / (len(y) - len(columns))
  return values.tolist(), np.sqrt(variance * np.diag(inverse)).tolist()


def _t_test(value: float, error: float, freedom: int) -> tuple[float, float]:
  """The t of a coefficient, and its two-sided p."""
  t = value / error if error else math.copysign(math.inf, value) if value else 0.0
  return t, float(2 * stats.t.sf(abs(t), freedom))
