"""Accuracy and consistency over the sizes of images."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from symjax.figures import page, style

PANEL = 1.7  # Inches.

Courses = Mapping[str, Sequence[Mapping[str, Any]]]


def size_sweep(
  trained_at: float,
  score: Courses,
  consistencies: Courses,
  sizes: Sequence[tuple[int, bool]],
  path: str | os.PathLike[str],
  caption: str,
) -> None:
  """Writes a test metric over the sizes of images, and consistencies below it.

  Args:
    trained_at: the size of training, marked by a line.
    score: the one metric: name -> one result a size; reads `mean` and `interval`.
    consistencies: name -> likewise.
    sizes: and whether the network is even there.
    path: the PNG to write.
    caption: what stands under the figure.

  Raises:
    KeyError: a key is missing.
    OSError: the file cannot be written.
  """
  page.save(draw(trained_at, score, consistencies, sizes, caption), path)


@style.applied()
def draw(
  trained_at: float,
  score: Courses,
  consistencies: Courses,
  sizes: Sequence[tuple[int, bool]],
  caption: str,
) -> Figure:
  """The figure that `size_sweep` writes."""
  figure = page.new(0.75 * page.WIDTH, layout='constrained')
  above, below = figure.subplots(2, 1, sharex=True)
  colors = style.distinct(len(score) + len(consistencies))
  handles: dict[str, ErrorbarContainer] = {}
  for axes, courses in ((above, score), (below, consistencies)):
    axes.axvline(trained_at, color=style.BAND, linewidth=2.5, zorder=0)
    for name, found in courses.items():
      color = colors[len(handles)]
      handles[name] = _draw_course(axes, sizes, found, color)
    axes.grid(axis='y')
  above.set_ylabel(next(iter(score)))
  below.set_ylabel('consistency')
  below.set_xlabel('side of the images (pixels)')
  below.xaxis.set_major_locator(MaxNLocator(integer=True))
  page.legend_above(figure, handles)
  return page.finish(figure, [above, below], PANEL, caption)


def _draw_course(
  axes: Axes,
  sizes: Sequence[tuple[int, bool]],
  found: Sequence[Mapping[str, Any]],
  color: Any,
) -> ErrorbarContainer:
  x = [size for size, _ in sizes]
  means = np.array([f['mean'] for f in found], float)
  low, high = np.array([f['interval'] for f in found], float).T
  # Rounding may put the mean of equal values outside by the last digit.
  reach = np.maximum([means - low, high - means], 0)
  bars = axes.errorbar(x, means, yerr=reach, color=color, capsize=2, linewidth=0.9)
  for even in (True, False):
    chosen = [i for i, (_, is_even) in enumerate(sizes) if is_even == even]
    axes.plot(
      [x[i] for i in chosen],
      means[chosen],
      linestyle='none',
      marker='o',
      markersize=4,
      color=color,
      markerfacecolor=color if even else 'white',
    )
  return bars
