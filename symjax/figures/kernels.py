"""The mean kernel of every layer, as in document A's Fig. 1."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from symjax.figures import page, style

COLUMNS = 8  # At most; they fill the width of a page of paper.
CELL = 0.62  # Inches: the side of the square that a kernel of any size fills.
PITCH = 0.88  # Inches from one cell to the next.
LINE = 0.115  # Inches: one line of small text.
KEY = 0.38  # Inches: the height of the colour key under the grid.


def mean_kernels(
  profile: Mapping[str, Any],
  path: str | os.PathLike[str],
  caption: str,
  shapes: Mapping[str, Sequence[int]] | None = None,
) -> None:
  """Writes a grid of the mean kernels of a network, in the order of its layers.

  A kernel is titled with its layer's name, an asterisk where it is strided, and its
  shape; its score is below. Colours run from minus to plus the largest magnitude of
  each layer's own kernel, white at zero.

  Args:
    profile: `profile.json`; reads `layers`, and of each `name`, `kernel`, `stride`,
      `score` and `mean_kernel`.
    path: the PNG to write.
    caption: what stands under the figure.
    shapes: (N, C, H, W) of every layer by name, for the titles; without it they give
      (H, W).

  Raises:
    KeyError: a layer is missing from `shapes`, or a key from the profile.
    OSError: the file cannot be written.
  """
  page.save(draw(profile, caption, shapes), path)


@style.applied()
def draw(
  profile: Mapping[str, Any],
  caption: str,
  shapes: Mapping[str, Sequence[int]] | None = None,
) -> Figure:
  """The figure that `mean_kernels` writes."""
  layers = profile['layers']
  if not layers:
    return page.note('no kernel larger than 1x1', caption)
  columns = math.ceil(len(layers) / math.ceil(len(layers) / COLUMNS))
  width = max(columns * PITCH + 2 * page.MARGIN, 0.55 * page.WIDTH)
  figure = page.new(width)
  caption = page.wrap(caption, width - 2 * page.MARGIN, 8.0)
  rows = [layers[i : i + columns] for i in range(0, len(layers), columns)]
  titles = [[_title(layer, shapes) for layer in row] for row in rows]
  title_heights = [
    LINE * (1 + max(title.count('\n') for title in row)) for row in titles
  ]
  key_bottom = 2 * page.MARGIN + 0.15 * (1 + caption.count('\n'))
  height = key_bottom + KEY + sum(title_heights) + len(rows) * (CELL + 2.2 * LINE)
  figure.set_figheight(height)

  def place(left: float, bottom: float, wide: float, high: float) -> Axes:
    """Axes at a place given in inches: cells keep their size on any page."""
    return figure.add_axes((left / width, bottom / height, wide / width, high / height))

  top = height
  left = (width - columns * PITCH) / 2 + (PITCH - CELL) / 2
  for row, row_titles, title_height in zip(rows, titles, title_heights, strict=True):
    top -= title_height + 0.5 * LINE
    for column, (layer, title) in enumerate(zip(row, row_titles, strict=True)):
      axes = place(left + column * PITCH, top - CELL, CELL, CELL)
      _draw_kernel(axes, layer)
      axes.set_title(title, fontsize=6.5, pad=2)
    top -= CELL + 1.7 * LINE
  strided = any(style.is_strided(layer) for layer in layers)
  _draw_key(place((width - 1.6) / 2, key_bottom + 0.16, 1.6, 0.07), strided)
  figure.text(page.MARGIN / width, page.MARGIN / height, caption, fontsize=8)
  return figure


def _title(layer: Mapping[str, Any], shapes: Mapping[str, Sequence[int]] | None) -> str:
  shape = layer['kernel'] if shapes is None else shapes[layer['name']]
  name = layer['name'] + '*' * style.is_strided(layer)
  room = PITCH - 0.06
  return '\n'.join(
    (
      page.wrap(name, room, 6.5, page.NAME_PARTS),
      page.wrap(f'({", ".join(map(str, shape))})', room, 6.5, page.PAIRS),
    )
  )


def _draw_kernel(axes: Axes, layer: Mapping[str, Any]) -> None:
  kernel = np.array(layer['mean_kernel'], float)
  finite = np.abs(kernel[np.isfinite(kernel)])
  largest = finite.max(initial=0.0) or 1.0
  axes.imshow(kernel / largest, cmap='RdBu_r', vmin=-1, vmax=1)
  height, width = kernel.shape
  axes.add_patch(
    Rectangle((-0.5, -0.5), width, height, fill=False, lw=0.6, clip_on=False)
  )
  # A square window around a kernel of any shape, so that titles line up in a row.
  half = max(height, width) / 2
  across, down = (width - 1) / 2, (height - 1) / 2
  axes.set(
    xlim=(across - half, across + half),
    ylim=(down + half, down - half),
    xticks=[],
    yticks=[],
  )
  axes.spines[:].set_visible(False)
  axes.patch.set_visible(False)
  axes.set_xlabel(style.number(layer['score']), fontsize=style.SMALL, labelpad=2)


def _draw_key(axes: Axes, strided: bool) -> None:
  scale = np.linspace(-1, 1, 256)[None]
  axes.imshow(
    scale, cmap=matplotlib.colormaps['RdBu_r'], aspect='auto', extent=(-1, 1, 0, 1)
  )
  axes.set_xticks([-1, 0, 1], ['−max', '0', '+max'])
  axes.set_yticks([])
  axes.tick_params(length=2, pad=1, labelsize=6.5)
  mark = '; * strided convolution' if strided else ''
  axes.set_title(f'weight; score S(K) below each kernel{mark}', fontsize=6.5, pad=2)
