"""The kernel sizes from which the FFT is the faster way to convolve."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from symjax.figures import page, style

_ROOM = 1.6  # Times the largest kernel found: where those that never cross are drawn.
_TICKS = (3, 5, 10, 20, 50, 100, 200, 500, 1000)


def crossovers(
  rows: Sequence[Mapping[str, Any]], path: str | os.PathLike[str], caption: str
) -> None:
  """Writes the measured frontier, for images and for signals, and three claims.

  Args:
    rows: reads `dimensions`, `size`, `channels`, `batch` and `kernel` (0: the FFT is
      always faster; null: never).
    path: the PNG to write.
    caption: what stands under the figure.

  Raises:
    KeyError: a key is missing from a row.
    OSError: the file cannot be written.
  """
  page.save(draw(rows, caption), path)


@style.applied()
def draw(rows: Sequence[Mapping[str, Any]], caption: str) -> Figure:
  """The figure that `crossovers` writes."""
  dimensions = sorted({row['dimensions'] for row in rows}, reverse=True)
  figure = page.new(page.WIDTH, layout='constrained')
  panels = list(figure.subplots(1, len(dimensions), squeeze=False)[0])
  keys = list(dict.fromkeys((row['channels'], row['batch']) for row in rows))
  colors = dict(zip(keys, style.distinct(len(keys)), strict=True))
  handles: dict[str, Any] = {}
  for axes, number in zip(panels, dimensions, strict=True):
    chosen = [row for row in rows if row['dimensions'] == number]
    sizes = sorted({row['size'] for row in chosen})
    handles |= _draw_claims(axes, sizes)
    top = _ROOM * max([15.0, *(row['kernel'] or 0 for row in chosen)])
    for (channels, batch), color in colors.items():
      line = sorted(
        (r for r in chosen if (r['channels'], r['batch']) == (channels, batch)),
        key=lambda row: row['size'],
      )
      if line:
        label = f'{channels} channel{"s" * (channels > 1)}, batch {batch}'
        handles[label] = _draw_line(axes, line, top, color)
    axes.set_xscale('log', base=2)
    axes.set_yscale('log')
    axes.set_ylim(2.5, 1.15 * top)
    ticks = [tick for tick in _TICKS if tick < top]
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(sizes, [f'{size:,}' for size in sizes])
    axes.set_xlabel('samples n' if number == 1 else 'pixels on a side n')
    axes.set_title(f'{number}-D', fontsize=8.0)
    axes.grid(axis='y')
  panels[0].set_ylabel('kernel size at which the FFT gets faster')
  page.legend_above(figure, handles)
  # Panels side by side have one height together.
  return page.finish(figure, panels[:1], 2.8, caption)


def _draw_line(
  axes: Axes, line: Sequence[Mapping[str, Any]], top: float, color: Any
) -> Any:
  """A frontier, and open markers where there is none."""
  crossing = [row for row in line if row['kernel']]
  (handle,) = axes.plot(
    [row['size'] for row in crossing],
    [row['kernel'] for row in crossing],
    color=color,
    marker='o',
    markersize=3.5,
  )
  for row in line:
    if not row['kernel']:
      never = row['kernel'] is None
      axes.plot(
        row['size'], top if never else 2.8, linestyle='none', color=color,
        marker='^' if never else 'v', markersize=4.5, markerfacecolor='none',
      )  # fmt: skip
  return handle


def _draw_claims(axes: Axes, sizes: Sequence[int]) -> dict[str, Any]:
  """The chapter's three statements of where the frontier lies."""
  (logarithm,) = axes.plot(
    sizes, [math.log2(size) for size in sizes], color='#666666', linestyle='--'
  )
  band = axes.axhspan(11, 15, color=style.BAND, zorder=0)
  line = axes.axhline(15, color='#666666', linestyle=':', linewidth=1.0)
  return {
    'claimed: k > log2 n': logarithm,
    'claimed: 11 to 15': band,
    'claimed: k > 15': line,
  }
