"""Accuracy, and how often predictions stay the same when the image moves."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from symjax.figures import page, style

ROW = 0.2  # Inches: of one measure.


def consistencies(
  score: Mapping[str, Mapping[str, Any]],
  measures: Mapping[str, Mapping[str, Any]],
  path: str | os.PathLike[str],
  caption: str,
) -> None:
  """Writes means with their intervals, a row each: the score, then each consistency.

  Args:
    score: the one test metric; reads `mean` and `interval`.
    measures: name -> likewise, and `repeats`: the means of single repeats, drawn as
      dots where there are several.
    path: the PNG to write.
    caption: what stands under the figure.

  Raises:
    KeyError: a key is missing.
    OSError: the file cannot be written.
  """
  page.save(draw(score, measures, caption), path)


@style.applied()
def draw(
  score: Mapping[str, Mapping[str, Any]],
  measures: Mapping[str, Mapping[str, Any]],
  caption: str,
) -> Figure:
  """The figure that `consistencies` writes."""
  figure = page.new(0.75 * page.WIDTH, layout='constrained')
  # A score that is no share, such as an error in heads, has an axis of its own.
  [(name, found)] = score.items()
  own = found['interval'][1] > 1
  sizes = [len(score), len(measures)] if own else [len(score) + len(measures)]
  panels = figure.subplots(len(sizes), 1, squeeze=False, height_ratios=sizes)[:, 0]
  rows = score if own else {**score, **measures}
  _draw_rows(panels[0], rows, len(score))
  panels[0].set_xlabel(name if own else 'share of test images')
  if own:
    _draw_rows(panels[1], measures, 0)
    panels[1].set_xlabel('share of test images')
  panels[-1].set_xlim(right=1.005)
  height = ROW * (len(score) + len(measures) + len(sizes)) / len(sizes)
  return page.finish(figure, list(panels), height, caption)


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
