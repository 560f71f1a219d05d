"""The results of a sweep: over a swept number, or side by side."""

import os
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from symjax.figures import page, style

LOGARITHMIC = 8  # Times the smallest that the largest number is on a logarithmic axis.
NAMES = 2.4  # Inches: the width of the names of rows,
LINE = 0.14  # the height of one line of a name,
GAP = 0.16  # and what keeps names apart.
WORDS = 40  # Characters in a line of an axis' label.


def sweep_results(
  rows: Sequence[Mapping[str, Any]],
  path: str | os.PathLike[str],
  caption: str,
  metric: str,
  axis: str | None,
) -> None:
  """Writes the results of runs: each as a dot, and mean and standard deviation.

  Over an axis there is a line for each label; the axis is logarithmic where its numbers
  are positive and the largest is 8 times the smallest or more. Without one there is a
  name for each row, from top to bottom.

  Args:
    rows: reads `label`, `x` (a number; null without an axis) and `values`, one for each
      seed.
    path: the PNG to write.
    caption: what stands under the figure.
    metric: what the values are.
    axis: what the numbers `x` are, or None.

  Raises:
    KeyError: a key is missing from a row.
    OSError: the file cannot be written.
  """
  page.save(draw(rows, caption, metric, axis), path)


@style.applied()
def draw(
  rows: Sequence[Mapping[str, Any]], caption: str, metric: str, axis: str | None
) -> Figure:
  """The figure that `sweep_results` writes."""
  figure = page.new(0.75 * page.WIDTH, layout='constrained')
  axes = figure.subplots()
  if axis is None:
    height = _draw_rows(axes, rows)
    axes.set_xlabel(textwrap.fill(metric, WORDS))
    axes.grid(axis='x')
    return page.finish(figure, [axes], height, caption)
  handles = _draw_lines(axes, rows)
  axes.set_xlabel(axis)
  axes.set_ylabel(textwrap.fill(metric, WORDS))
  axes.grid(axis='y')
  if list(handles) != ['']:
    page.legend_above(figure, handles)
  return page.finish(figure, [axes], 2.6, caption)


def _draw_lines(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """Draws a line for each label; returns legend handles."""
  labels = list(dict.fromkeys(row['label'] for row in rows))
  numbers = sorted({row['x'] for row in rows})
  if numbers[0] > 0 and numbers[-1] >= LOGARITHMIC * numbers[0]:
    axes.set_xscale('log')
    axes.xaxis.set_minor_locator(NullLocator())
  axes.set_xticks(numbers, [f'{number:g}' for number in numbers])
  handles = {}
  for label, color in zip(labels, style.distinct(len(labels)), strict=True):
    line = sorted((r for r in rows if r['label'] == label), key=lambda row: row['x'])
    x = [row['x'] for row in line]
    for row in line:
      _dots(axes, np.full(len(row['values']), row['x']), row['values'], color)
    mean, std = np.array([_moments(row['values']) for row in line]).T
    handles[label] = axes.errorbar(
      x, mean, std, color=color, marker='o', markersize=3.5, capsize=2, zorder=3
    )
  return handles


def _draw_rows(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> float:
  """Draws the rows from top to bottom; returns the inches that their names take."""
  names = [
    page.wrap(row['label'] or 'all runs', NAMES, style.SMALL, page.NAME_PARTS)
    for row in rows
  ]
  # The y axis is in inches, so that each row is as high as its name.
  heights = np.array([GAP + LINE * (1 + name.count('\n')) for name in names])
  places = np.cumsum(heights) - heights / 2
  colors = style.distinct(len(rows))
  for row, place, color in zip(rows, places, colors, strict=True):
    _dots(axes, row['values'], np.full(len(row['values']), place), color)
    mean, std = _moments(row['values'])
    axes.errorbar(
      mean, place, xerr=std, color=color, marker='o', markersize=4.5, capsize=2.5
    )
  axes.set_yticks(places, names)
  axes.set_ylim(heights.sum(), 0)
  return float(heights.sum())


def _dots(axes: Axes, x: Any, y: Any, color: Any) -> None:
  axes.plot(
    x, y, linestyle='none', marker='o', markersize=3, color=color, alpha=0.4,
    markeredgewidth=0,
  )  # fmt: skip


def _moments(values: Sequence[float]) -> tuple[float, float]:
  """Mean and standard deviation of the sample; 0 for a single value."""
  return float(np.mean(values)), float(np.std(values, ddof=1)) if values[1:] else 0.0
