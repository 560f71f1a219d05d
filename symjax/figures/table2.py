"""Test error and training cost over epochs, behind document B's Table 2."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
  LogLocator,
  MaxNLocator,
  NullLocator,
  StrMethodFormatter,
)
from matplotlib.transforms import ScaledTranslation, blended_transform_factory

from symjax.figures import page, style

PANELS = {'test_error': 'test error (%)', 'cost': 'training cost\n(cross-entropy)'}
HEIGHTS = (3, 2)  # Methods differ less in their errors than in their costs.
PITCH = 4.5  # Points from one row of marks above a panel to the next.
SHOWN = 5  # Times the least error: first epochs above it leave the panel.

# Where a logarithmic axis of at most so many decades is named; more would collide.
NAMED = {
  0.8: (1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 3, 4, 5, 6, 8),
  2.0: (1, 1.5, 2, 3, 5, 7),
  math.inf: (1, 2, 5),
}


class Course(NamedTuple):
  """What one cell has measured after every epoch, from the first one on."""

  depth: int
  label: str
  mean: np.ndarray  # [epochs] over runs; NaN where a run has null.
  std: np.ndarray  # [epochs] over runs, of the sample; 0 for a single run.


def table2_courses(
  cells: Sequence[Mapping[str, Any]], path: str | os.PathLike[str], caption: str
) -> None:
  """Writes test error and training cost over epochs, a column for each depth.

  A line is the mean over a method's runs, its band plus and minus their standard
  deviation. After a run has ended its last value counts on, up to the end of the
  longest run of its cell; marks above the errors show where runs ended.

  The error is on a logarithmic axis where its values are positive and their largest is
  more than twice their smallest. That axis ends at five times the smallest, or where
  the worst method ends, so that late differences can be seen. The cost is on an axis
  as the loss is in `training_curves`.

  Args:
    cells: one for each depth and method; reads `depth`, `label`, and `test_error` and
      `cost`: for each run a list of the values after every epoch, from the first one
      on. The error is a fraction, the cost a mean over examples. A null is a gap in the
      mean.
    path: the PNG to write.
    caption: what stands under the figure.

  Raises:
    KeyError: a key is missing from a cell.
    OSError: the file cannot be written.
  """
  page.save(draw(cells, caption), path)


@style.applied()
def draw(cells: Sequence[Mapping[str, Any]], caption: str) -> Figure:
  """The figure that `table2_courses` writes."""
  measured = [cell for cell in cells if any(cell['test_error'])]
  if not measured:
    return page.note('no measurement of training', caption)
  depths = sorted({cell['depth'] for cell in measured})
  labels = list(dict.fromkeys(cell['label'] for cell in measured))
  figure = page.new(page.WIDTH, layout='constrained')
  panels = figure.subplots(
    len(PANELS),
    len(depths),
    sharex=True,
    sharey='row',
    squeeze=False,
    height_ratios=HEIGHTS,
  )
  colors = dict(zip(labels, style.distinct(len(labels)), strict=True))
  handles: dict[str, Any] = dict.fromkeys(labels)
  for row, (key, name) in zip(panels, PANELS.items(), strict=True):
    courses = [_course(cell, key) for cell in measured]
    _scale(row[0], key, courses)
    row[0].set_ylabel(name)
    for course in courses:
      axes, color = row[depths.index(course.depth)], colors[course.label]
      handles[course.label] = _draw_course(axes, course, color)
  for axes, depth in zip(panels[0], depths, strict=True):
    axes.set_title(f'depth {depth}', fontsize=8.0, pad=PITCH * (len(labels) + 1.6))
  for cell in measured:
    axes, i = panels[0, depths.index(cell['depth'])], labels.index(cell['label'])
    # The first method's marks on top, as in the legend.
    _mark_ends(axes, cell, PITCH * (len(labels) - i), colors[cell['label']])
  longest = max(len(run) for cell in measured for run in cell['test_error'])
  for axes in panels[-1]:
    axes.set_xlim(0.5, longest + 0.5)  # Nulls and marks have no say in it.
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    style.epoch_axis(axes, range(1, longest + 1))
  for axes in panels.flat:
    axes.grid(axis='y')
    axes.yaxis.set_major_formatter(StrMethodFormatter('{x:g}'))
  figure.align_ylabels()
  ended = Line2D([], [], linestyle='none', marker='|', color='#555555')
  page.legend_above(figure, handles | {'end of a run': ended})
  return page.finish(figure, panels[:, 0].tolist(), 1.8, caption)


def _course(cell: Mapping[str, Any], key: str) -> Course:
  """The course of a cell, errors in percent; ended runs keep their last value."""
  runs = [run for run in cell[key] if run]
  longest = max(map(len, runs))
  rows = [[*run, *(longest - len(run)) * run[-1:]] for run in runs]
  values = np.array(rows, float) * (100 if key == 'test_error' else 1)
  std = values.std(axis=0, ddof=1) if len(runs) > 1 else np.zeros(longest)
  return Course(cell['depth'], cell['label'], values.mean(axis=0), std)


def _scale(axes: Axes, key: str, courses: Sequence[Course]) -> None:
  """Makes y logarithmic where that is the way to see the values of a row of panels."""
  mean = np.concatenate([course.mean for course in courses])
  std = np.concatenate([course.std for course in courses])
  mean, std = mean[np.isfinite(mean)], std[np.isfinite(mean)]
  if key == 'cost':
    style.cost_scale(axes, mean.tolist())
  elif mean.size and 0 < 2 * mean.min() < mean.max():
    axes.set_yscale('log')
    axes.yaxis.set_minor_locator(NullLocator())
  if axes.get_yscale() == 'linear':
    return
  # A band may reach below zero: of it the axis shows no more than half of the mean.
  low, high = np.maximum(mean - std, mean / 2).min(), (mean + std).max()
  if key == 'test_error':
    tops = [course.mean + course.std for course in courses]
    last = [top[np.isfinite(top)][-1:] for top in tops]
    high = min(high, np.concatenate([[SHOWN * mean.min()], *last]).max())
    decades = math.log10(high / low)
    named = next(digits for limit, digits in NAMED.items() if decades <= limit)
    axes.yaxis.set_major_locator(LogLocator(subs=named))
  margin = (high / low) ** 0.04
  axes.set_ylim(low / margin, high * margin)


def _draw_course(axes: Axes, course: Course, color: Any) -> Line2D:
  """Draws a line and its band; returns the line."""
  epochs = np.arange(1, len(course.mean) + 1)
  low, high = course.mean - course.std, course.mean + course.std
  axes.fill_between(epochs, low, high, color=color, alpha=0.18, linewidth=0)
  return style.line(axes, epochs.tolist(), course.mean.tolist(), color=color)


def _mark_ends(axes: Axes, cell: Mapping[str, Any], height: float, color: Any) -> None:
  """Marks where the runs of a cell ended, `height` points above the panel."""
  lift = ScaledTranslation(0, height / 72, axes.figure.dpi_scale_trans)
  ends = [len(run) for run in cell['test_error'] if run]
  axes.plot(
    ends,
    np.ones(len(ends)),
    transform=blended_transform_factory(axes.transData, axes.transAxes) + lift,
    linestyle='none',
    marker='|',
    markersize=PITCH - 0.7,
    markeredgewidth=0.8,
    color=color,
    clip_on=False,
  )
