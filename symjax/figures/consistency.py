"""Accuracy, and how often predictions stay the same when the image moves."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from symjax.figures import page, style

ROW = 0.2  # Inches: of one measure.
SHARE = 'share of test images'


def consistencies(
  score: Mapping[str, Mapping[str, Any]],
  unit: str,
  measures: Mapping[str, Mapping[str, Any]],
  path: str | os.PathLike[str],
  caption: str,
  measured: str = SHARE,
) -> None:
  """Writes means with their intervals, a row each: scores, then each consistency.

  Args:
    score: the test metrics by their names; reads `mean` and `interval`.
    unit: of the scores, in words; they have an axis of their own unless it is that of
      the consistencies.
    measures: name -> likewise, and `repeats`: the means of single repeats, drawn as
      dots where there are several.
    path: the PNG to write.
    caption: what stands under the figure.
    measured: unit of the consistencies, in words.

  Raises:
    KeyError: a key is missing.
    OSError: the file cannot be written.
  """
  page.save(draw(score, unit, measures, caption, measured), path)


@style.applied()
def draw(
  score: Mapping[str, Mapping[str, Any]],
  unit: str,
  measures: Mapping[str, Mapping[str, Any]],
  caption: str,
  measured: str = SHARE,
) -> Figure:
  """The figure that `consistencies` writes."""
  figure = page.new(0.75 * page.WIDTH, layout='constrained')
  if unit == measured:
    axes = figure.subplots()
    _draw_rows(axes, {**score, **measures}, len(score))
    panels = [axes]
  else:
    sizes = [len(score) + 0.5, len(measures)]
    panels = figure.subplots(2, 1, height_ratios=sizes).tolist()
    _draw_rows(panels[0], score, len(score))
    _draw_rows(panels[1], measures, 0)
    panels[0].set_xlabel(unit)
  panels[-1].set_xlabel(measured)
  panels[-1].set_xlim(right=1.005)
  height = ROW * (len(score) + len(measures)) / len(panels)
  return page.finish(figure, panels, height, caption)


def _draw_rows(axes: Axes, rows: Mapping[str, Mapping[str, Any]], scores: int) -> None:
  """Draws rows from top to bottom, the first `scores` of them in the other colour."""
  for place, found in enumerate(rows.values()):
    color = style.PALETTE[1] if place < scores else style.PALETTE[0]
    repeats = found.get('repeats', [])
    if len(repeats) > 1:
      axes.plot(
        repeats, np.full(len(repeats), place), linestyle='none', marker='o',
        markersize=3, markeredgewidth=0, alpha=0.4, color=color,
      )  # fmt: skip
    low, high = found['interval']
    mean = found['mean']
    # Rounding may put the mean of equal values outside by the last digit.
    reach = np.maximum([[mean - low], [high - mean]], 0)
    axes.errorbar(mean, place, xerr=reach, color=color, marker='o', markersize=4,
                  capsize=2.5)  # fmt: skip
  axes.set_yticks(range(len(rows)), list(rows))
  axes.set_ylim(len(rows) - 0.5, -0.5)
  axes.grid(axis='x')
