"""Consistency against accuracy: a dot for each network, a line for each group."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from symjax.figures import page, style

MARKERS = 'osD^vP'  # Beside the colours, for print without them.
NAMED = 30  # Networks; more would hide each other's names.
PANEL = (6.5, 4.0)  # Inches, about: the width and height within the axes.
_NAME = (0.05, 0.09)  # Inches: of a letter.
_FAR = 0.25  # Inches: beyond it nobody takes a name for another dot's.
_SIDES = ((1, -1), (-1, 1), (1, 1), (-1, -1))  # Of a dot, for its name, best first.


def trend_lines(
  record: Mapping[str, Any], path: str | os.PathLike[str], caption: str
) -> None:
  """Writes the points and the trend lines, dashed where they are extrapolated.

  Args:
    record: `trends.json`; reads `points`, `lines` and `metric`.
    path: the PNG to write.
    caption: what stands under the figure.

  Raises:
    KeyError: a key is missing.
    OSError: the file cannot be written.
  """
  page.save(draw(record, caption), path)


@style.applied()
def draw(record: Mapping[str, Any], caption: str) -> Figure:
  """The figure that `trend_lines` writes."""
  points, lines = record['points'], record['lines']
  figure = page.new(page.WIDTH, layout='constrained')
  axes = figure.subplots()
  groups = list(dict.fromkeys(point['group'] for point in points))
  handles = {}
  for i, (group, color) in enumerate(
    zip(groups, style.distinct(len(groups)), strict=True)
  ):
    members = [point for point in points if point['group'] == group]
    handles[group] = axes.plot(
      [100 * point['accuracy'] for point in members],
      [100 * point['consistency'] for point in members],
      linestyle='none',
      marker=MARKERS[i % len(MARKERS)],
      markersize=4.5,
      color=color,
      zorder=3,
    )[0]
  if len(points) <= NAMED:
    _write_names(axes, points, {g: h.get_color() for g, h in handles.items()})
  # The dots decide what is shown: a line may leave it.
  (low, high), heights = axes.get_xlim(), axes.get_ylim()
  for group, line in lines.items():
    color = handles[group].get_color()
    _draw_line(axes, line, (line['low'], line['high']), color, '-')
    _draw_line(axes, line, (low / 100, line['low']), color, ':')
    _draw_line(axes, line, (line['high'], high / 100), color, ':')
  axes.set_xlim(low, high)
  axes.set_ylim(heights)
  axes.set_xlabel(f'{record["metric"]} (%)')
  axes.set_ylabel('consistency (%)')
  axes.grid()
  page.legend_above(figure, handles)
  return page.finish(figure, [axes], PANEL[1], caption)


def _draw_line(
  axes: Axes, line: Mapping[str, float], ends: tuple[float, float], color: Any, how: str
) -> None:
  axes.plot(
    [100 * x for x in ends],
    [100 * (line['intercept'] + line['slope'] * x) for x in ends],
    linestyle=how,
    linewidth=1.0,
    color=color,
  )


def _write_names(
  axes: Axes, points: Sequence[Mapping[str, Any]], colors: Mapping[str, Any]
) -> None:
  """Writes each name beside its dot, on the side where it hides least."""
  places = np.array([[100 * p['accuracy'], 100 * p['consistency']] for p in points])
  low, high = np.array([axes.get_xlim(), axes.get_ylim()]).T
  dots = (places - low) / (high - low) * PANEL
  taken = [(dot, np.array([0.06, 0.06])) for dot in dots]  # Centres, sizes.
  for i, (point, place, dot) in enumerate(zip(points, places, dots, strict=True)):
    size = np.array([_NAME[0] * len(point['name']), _NAME[1]])
    others = np.delete(dots, i, axis=0)
    centers = [dot + np.array(side) * (size / 2 + 0.04) for side in _SIDES]
    costs = [_cost(center, size, taken, others) for center in centers]
    best = costs.index(min(costs))
    taken.append((centers[best], size))
    right, up = _SIDES[best]
    axes.annotate(
      point['name'],
      place,
      xytext=(3 * right, 3 * up),
      textcoords='offset points',
      ha='left' if right > 0 else 'right',
      va='bottom' if up > 0 else 'top',
      fontsize=6.0,
      color=colors[point['group']],
    )


def _cost(
  center: np.ndarray,
  size: np.ndarray,
  taken: Sequence[tuple[np.ndarray, np.ndarray]],
  others: np.ndarray,
) -> tuple[int, float]:
  """How much a name hides, and then how near it is to a dot that is not its own."""
  hidden = sum(bool((np.abs(center - c) < (size + s) / 2).all()) for c, s in taken)
  middle = np.array(PANEL) / 2
  hidden += bool((np.abs(center - middle) + size / 2 > middle).any())  # Cut off.
  near = np.linalg.norm(others - center, axis=1).min(initial=_FAR)
  return hidden, -min(float(near), _FAR)
