"""How often a network reads each pixel of an image."""

import os

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from symjax.figures import page, style

PANEL = 1.2  # Inches: of the means.


def foveation_map(
  reads: np.ndarray, path: str | os.PathLike[str], caption: str
) -> None:
  """Writes the map, and beside it its means over rows and columns.

  Args:
    reads: [height, width] of mean 1, as `symjax.nn.foveation` returns it.
    path: the PNG to write.
    caption: what stands under the figure.

  Raises:
    OSError: the file cannot be written.
  """
  page.save(draw(reads, caption), path)


@style.applied()
def draw(reads: np.ndarray, caption: str) -> Figure:
  """The figure that `foveation_map` writes."""
  figure = page.new(page.WIDTH, layout='constrained')
  axes = figure.subplot_mosaic(
    [['map', 'row'], ['map', 'column']], width_ratios=[1.05, 1]
  )
  image = axes['map'].imshow(reads, cmap='viridis', vmin=0, interpolation='antialiased')
  axes['map'].set_xlabel('column')
  axes['map'].set_ylabel('row')
  bar = figure.colorbar(image, ax=axes['map'], location='left', aspect=30, pad=0.03)
  bar.set_label('reads of a pixel (1 = mean)')
  bar.outline.set_visible(False)
  bar.ax.tick_params(length=2)
  handles: dict[str, Line2D] = {}
  for name, axis in (('row', 1), ('column', 0)):
    handles |= _draw_course(axes[name], reads.mean(axis=axis), name)
  page.legend_above(figure, handles)
  return page.finish(figure, [axes['row'], axes['column']], PANEL, caption)


def _draw_course(axes: Axes, course: np.ndarray, name: str) -> dict[str, Line2D]:
  (mirrored,) = axes.plot(course[::-1], color=style.PALETTE[1], linewidth=0.7)
  (line,) = axes.plot(course, color=style.PALETTE[0], linewidth=0.7)
  axes.set_xlabel(name)
  axes.set_ylabel(f'mean of a {name}')
  axes.set_xlim(0, len(course) - 1)
  axes.set_ylim(bottom=0)
  axes.grid(axis='y')
  return {'from the first': line, 'from the last': mirrored}
