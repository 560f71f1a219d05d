"""Where mean kernels lean: a point for each layer, on the grid of a kernel's taps."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from symjax.figures import page, style

SIDE = 3.6  # Inches of height that the square panel may take.


def kernel_skews(
  profiles: Mapping[str, Mapping[str, Any]],
  path: str | os.PathLike[str],
  caption: str,
) -> None:
  """Writes the skew of every layer's mean kernel, as it lies in the kernel: y is down.

  Strided layers are full dots, the others hollow ones; a cross is the mean over the
  strided layers of a network. Layers without a skew, and those whose stride is not
  known, are left out.

  Args:
    profiles: `profile.json` of every network by its label in the legend; reads of
      each of `layers`: `stride` and `skew`.
    path: the PNG to write.
    caption: what stands under the figure.

  Raises:
    KeyError: a key is missing from a profile.
    OSError: the file cannot be written.
  """
  page.save(draw(profiles, caption), path)


@style.applied()
def draw(profiles: Mapping[str, Mapping[str, Any]], caption: str) -> Figure:
  """The figure that `kernel_skews` writes."""
  figure = page.new(0.7 * page.WIDTH, layout='constrained')
  axes = figure.subplots()
  axes.set_aspect('equal')
  for line in (axes.axhline, axes.axvline):
    line(0, color='black', linewidth=0.6, zorder=1)
  colors = style.distinct(len(profiles))
  reach, handles = 0.1, {}
  for (label, profile), color in zip(profiles.items(), colors, strict=True):
    for full in (False, True):
      layers = [
        layer
        for layer in profile['layers']
        if layer['skew'] and layer['stride'] and style.is_strided(layer) == full
      ]
      if not layers:
        continue
      points = np.array([layer['skew'] for layer in layers])
      reach = max(reach, float(np.abs(points).max()))
      words = 'strided' if full else 'other layers'
      handles[f'{label}: {words}'] = _draw_points(axes, points, color, full)
      if full:
        down, right = points.mean(axis=0)
        axes.plot(right, down, marker='x', markersize=8, color=color, zorder=4)
  handles['mean over strided layers'] = Line2D(
    [], [], linestyle='none', marker='x', color='black'
  )
  axes.set_xlim(-1.15 * reach, 1.15 * reach)
  axes.set_ylim(1.15 * reach, -1.15 * reach)
  axes.set_xlabel('skew to the right (taps)')
  axes.set_ylabel('skew downward (taps)')
  axes.grid()
  page.legend_above(figure, handles)
  return page.finish(figure, [axes], SIDE, caption)


def _draw_points(axes: Axes, points: np.ndarray, color: Any, full: bool) -> Line2D:
  (dots,) = axes.plot(
    points[:, 1],
    points[:, 0],
    linestyle='none',
    marker='o',
    markersize=5 if full else 4,
    markeredgewidth=0.8,
    markeredgecolor=color,
    markerfacecolor=color if full else 'none',
    alpha=1.0 if full else 0.6,
    zorder=3 if full else 2,
  )
  return dots
