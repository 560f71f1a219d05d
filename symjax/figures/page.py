"""The page a figure is drawn on: its size, caption, legend, and file."""

import functools
import io
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from symjax import records
from symjax.figures import style

DPI = 150
MARGIN = 0.08  # Inches around the page.
WIDTH = 7.2  # Inches: the text width of a page of paper.

WORDS = re.compile(r'\S+\s*')
PAIRS = re.compile(r'\S+ \S+\s*')
_DECIMAL = r'(?<=\d)\.(?=\d)'  # A number is not broken at its point.
NAME_PARTS = re.compile(rf'(?:[^\s./_]|{_DECIMAL})+(?:(?!{_DECIMAL})[\s./_])*|[\s./_]+')


def new(width: float, **options: Any) -> Figure:
  """An empty page `width` inches wide, apart from pyplot's global state.

  It is higher than any figure needs; `finish` or the caller sets its height.
  """
  figure = Figure((width, 12.0), DPI, **options)
  FigureCanvasAgg(figure)  # Measures text without a display.
  return figure


@functools.lru_cache(maxsize=4096)  # Names and captions recur; shaping them is slow.
def _inches(text: str, size: float) -> float:
  font = FontProperties(family=style.FONT, size=size)
  width, _, _ = RendererAgg(1, 1, DPI).get_text_width_height_descent(text, font, False)
  return width / DPI


def wrap(text: str, inches: float, size: float, pieces: re.Pattern[str] = WORDS) -> str:
  """Breaks `text` into lines of at most `inches` between matches of `pieces`.

  A piece too long for a line of its own is broken anywhere.
  """
  text = ' '.join(text.split())
  if _inches(text, size) <= inches:
    return text
  lines = ['']
  for piece in pieces.findall(text):
    for part in [piece] if _inches(piece.rstrip(), size) <= inches else piece:
      if lines[-1] and _inches((lines[-1] + part).rstrip(), size) > inches:
        lines.append('')
      lines[-1] += part
  return '\n'.join(line.rstrip() for line in lines)


def legend_above(figure: Figure, handles: Mapping[str, Any]) -> None:
  """Puts a legend ({label: handle}) above the axes, in as few rows as fit the page."""
  # Narrow enough that a long label leaves room for a second column.
  room = min(2.4, figure.get_figwidth() - 0.8)
  labels = [wrap(label, room, style.SMALL, NAME_PARTS) for label in handles]
  for columns in range(len(handles), 0, -1):
    legend = figure.legend(
      list(handles.values()),
      labels,
      loc='outside upper center',
      ncols=columns,
      columnspacing=1.4,
    )
    if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
      return
    legend.remove()


def finish(
  figure: Figure, panels: Sequence[Axes], panel_height: float, caption: str
) -> Figure:
  """Sets the caption, and the page's height so that panels are `panel_height` inches.

  What surrounds the panels (legend, names of layers, caption) takes the room that it
  needs, so nothing overlaps and nothing is squeezed.
  """
  width = figure.get_figwidth()
  # The layout keeps room for an x label of the whole figure: here, the caption.
  figure.supxlabel(
    wrap(caption, width - 2 * MARGIN, 8.0),
    x=MARGIN / width,
    ha='left',
    fontsize=8.0,
  )
  # Laid out on a page with room to spare, the panels show how much that is.
  layout = figure.get_layout_engine()
  assert layout is not None, 'a page to finish is made with layout="constrained"'
  layout.execute(figure)
  shown = sum(panel.get_window_extent().height for panel in panels) / DPI
  figure.set_figheight(figure.get_figheight() + panel_height * len(panels) - shown)
  return figure


def note(text: str, caption: str) -> Figure:
  """A page that says why there is nothing to draw."""
  figure = new(WIDTH / 2, layout='constrained')
  axes = figure.subplots()
  axes.set_axis_off()
  axes.text(0.5, 0.5, text, ha='center', va='center')
  return finish(figure, [axes], 1.0, caption)


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
  """Writes a PNG at `path`, whole or not at all, and its folder where missing.

  Raises:
    OSError: the file cannot be written; what stood there before still does.
  """
  content = io.BytesIO()
  with style.applied():
    # Without the version of matplotlib that it would name.
    figure.savefig(content, format='png', dpi=DPI, metadata={'Software': None})
  pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
  records.write_bytes(path, content.getvalue())
