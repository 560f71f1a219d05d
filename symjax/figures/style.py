"""The look of every figure: fonts, colours, lines with gaps, the axis of scores."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

FONT = 'DejaVu Sans'  # Ships with matplotlib: the same everywhere.
SMALL = 7.0  # Points; the figures are meant to be printed at their own size.

# Okabe and Ito's colours, told apart under every common colour blindness; their
# yellow is left out because it vanishes on white, their black because it hides marks.
PALETTE = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00')
BAND = '#DADADA'  # The random band.
MARK = '#C00000'  # Downsampling.

_SETTINGS = {
  'font.family': FONT,
  'font.size': 8.0,
  'axes.labelsize': 8.0,
  'axes.linewidth': 0.6,
  'axes.spines.top': False,
  'axes.spines.right': False,
  'axes.axisbelow': True,
  'grid.color': '#E6E6E6',
  'grid.linewidth': 0.5,
  'lines.linewidth': 1.2,
  'legend.fontsize': SMALL,
  'legend.frameon': False,
  'xtick.labelsize': SMALL,
  'ytick.labelsize': SMALL,
  'xtick.major.width': 0.6,
  'ytick.major.width': 0.6,
  'text.parse_math': False,  # Names of layers and files may hold a dollar sign.
}


@contextlib.contextmanager
def applied() -> Iterator[None]:
  """The settings of these figures, whatever the user's own matplotlibrc says."""
  with matplotlib.style.context(['default', _SETTINGS]):
    yield


def by_depth(count: int) -> list[Any]:
  """`count` colours from dark (first) to light (last), in order under any vision."""
  # The last tenth of the map is too light to be seen on white.
  return list(matplotlib.colormaps['viridis'](np.linspace(0.0, 0.9, count)))


def distinct(count: int) -> list[Any]:
  """`count` colours to tell things apart; in order of depth beyond the palette."""
  return list(PALETTE[:count]) if count <= len(PALETTE) else by_depth(count)


def number(value: float | None) -> str:
  """A score as text: two digits, or 'n/a' for null."""
  return 'n/a' if value is None else f'{value:.2f}'


def is_strided(layer: Mapping[str, Any]) -> bool:
  """Whether a layer of a profile is known to have a stride above one."""
  return layer['stride'] is not None and layer['stride'] > 1


def line(
  axes: Axes, x: Sequence[float], y: Sequence[float | None], **properties: Any
) -> Line2D:
  """Draws a line with gaps at null, and a dot where a point has no neighbour."""
  values = np.array(y, float)
  drawn = np.pad(np.isfinite(values), 1)
  alone = drawn[1:-1] & ~drawn[:-2] & ~drawn[2:]
  (curve,) = axes.plot(x, values, **properties)
  axes.plot(
    np.array(x, float)[alone],
    values[alone],
    linestyle='none',
    marker='o',
    markersize=3,
    color=curve.get_color(),
    zorder=curve.get_zorder(),
  )
  return curve


def epoch_axis(axes: Axes, epochs: Sequence[float]) -> None:
  """Makes x the axis of epochs, with one tick where there is one epoch."""
  axes.set_xlabel('epoch')
  if len(set(epochs)) == 1:
    axes.set_xticks(epochs[:1], [f'{epochs[0]:g}'])


def cost_scale(axes: Axes, values: Sequence[float]) -> None:
  """Makes y logarithmic where that is the way to see the values.

  They are all positive then, and the largest is more than 30 times the smallest.
  """
  known = np.array(values)[np.isfinite(values)]
  if known.size and known.min() > 0 and known.max() > 30 * known.min():
    axes.set_yscale('log')
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_minor_formatter(NullFormatter())


def score_axis(axes: Axes, values: Sequence[float | None]) -> float:
  """Makes y the axis of symmetry scores; returns its lower end.

  The end is 0.2, just under the least score of a square kernel (0.2441), unless one
  of `values` lies lower: rectangular kernels may reach 0.
  """
  drawn = np.array(values, float)
  low = 0.0 if np.any(drawn[np.isfinite(drawn)] < 0.2) else 0.2
  axes.set_ylim(low, 1.0)
  axes.set_yticks(np.arange(round(low * 5), 6) / 5)
  axes.set_ylabel('symmetry of the mean kernel\n(1 = fully symmetric)')
  axes.grid(axis='y')
  return low
