"""The bars of a symmetry profile, and what is drawn behind and on them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from symjax.figures import style


class Bar(NamedTuple):
  """One layer of one network: its place on the x axis, in layers, and its colour."""

  layer: Mapping[str, Any]
  center: float
  width: float
  left: float  # Of the strip that the bar stands in: strips leave no gaps.
  right: float
  color: Any


def place(networks: Sequence[Sequence[Mapping[str, Any]]]) -> list[list[Bar]]:
  """The bars of every network: the i-th layers side by side around x = i."""
  count = len(networks)
  span = 0.62 if count == 1 else 0.8
  width = span / count
  edges = np.linspace(-span / 2, span / 2, count + 1)
  strips = np.concatenate([[-0.5], edges[1:-1], [0.5]])
  return [
    [
      Bar(
        layer, i + edges[k] + width / 2, width, i + strips[k], i + strips[k + 1], color
      )
      for i, layer in enumerate(layers)
    ]
    for k, (layers, color) in enumerate(
      zip(networks, style.distinct(count), strict=True)
    )
  ]


def lower_ends(bars: Sequence[Bar]) -> list[float]:
  """How far down the scores, bands and spreads of `bars` reach; NaN for null."""
  layers = [bar.layer for bar in bars]
  random, individual = _spread(layers, 'random'), _spread(layers, 'individual')
  scores = [layer['score'] for layer in layers]
  ends = [np.array(scores, float), random[0] - random[1], individual[0] - individual[1]]
  return np.concatenate(ends).tolist()


def upper_end(bar: Bar) -> float:
  """How far up a bar and the spread on it reach; NaN if both are null."""
  mean, std = _spread([bar.layer], 'individual')
  return float(np.fmax(np.array(bar.layer['score'], float), mean + std)[0])


def draw_random_bands(axes: Axes, bars: Sequence[Bar]) -> Any:
  """Shades the scores of random kernels behind the bars; returns a legend handle."""
  mean, std = _spread([bar.layer for bar in bars], 'random')
  left = [bar.left for bar in bars]
  right = [bar.right for bar in bars]
  widths = np.subtract(right, left)
  axes.bar(left, 2 * std, widths, mean - std, align='edge', color=style.BAND, zorder=1)
  # On the bars too, which hide the band.
  dotted: dict[str, Any] = {'color': 'black', 'linestyle': ':', 'linewidth': 0.9}
  axes.hlines(mean, left, right, zorder=3, **dotted)
  return Patch(facecolor=style.BAND), Line2D([], [], **dotted)


def draw_scores(axes: Axes, bars: Sequence[Bar], low: float) -> Any:
  """Draws one network's bars, 'n/a' for null scores; returns a legend handle."""
  scores = np.array([bar.layer['score'] for bar in bars], float)
  container = axes.bar(
    [bar.center for bar in bars],
    scores - low,
    [bar.width for bar in bars],
    low,
    color=[bar.color for bar in bars],
    edgecolor='white',
    linewidth=0.3,
    zorder=2,
  )
  for bar in bars:
    if bar.layer['score'] is None:
      mark = axes.text(bar.center, low + 0.02, 'n/a', ha='center', va='bottom')
      mark.set(rotation=90, fontsize=6.5)
  return container


def draw_individuals(axes: Axes, bars: Sequence[Bar]) -> Any:
  """Draws the scores of single kernels on the bars; returns a legend handle."""
  mean, std = _spread([bar.layer for bar in bars], 'individual')
  return axes.errorbar(
    [bar.center for bar in bars],
    mean,
    std,
    linestyle='none',
    marker='o',
    markersize=3,
    markeredgewidth=0.4,
    markeredgecolor='white',
    color='#222222',
    elinewidth=0.8,
    zorder=4,
  )


def _spread(
  layers: Sequence[Mapping[str, Any]], name: str
) -> tuple[np.ndarray, np.ndarray]:
  """The means and standard deviations of `name` over layers; NaN for null."""
  mean = np.array([layer[f'{name}_mean'] for layer in layers], float)
  return mean, np.array([layer[f'{name}_std'] for layer in layers], float)
