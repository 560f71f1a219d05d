"""Equivariance errors, layer by layer and symmetry by symmetry."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from symjax.figures import page, style

CELL = (0.42, 0.24)  # Inches: of a layer and a symmetry.
RANGE = (-7.0, 0.0)  # Powers of ten: from rounding to outputs that have nothing left.
_DARK = 0.55  # Of the range: numbers on darker cells are white.


def equivariance_errors(
  found: Mapping[str, Any], path: str | os.PathLike[str], caption: str
) -> None:
  """Writes a table of colours: a column for each layer, a row for each symmetry.

  Args:
    found: `equivariance.json`; reads `breaks` and `layers`, and of each `name` and
      `errors`.
    path: the PNG to write.
    caption: what stands under the figure.

  Raises:
    KeyError: a key is missing.
    OSError: the file cannot be written.
  """
  page.save(draw(found, caption), path)


@style.applied()
def draw(found: Mapping[str, Any], caption: str) -> Figure:
  """The figure that `equivariance_errors` writes."""
  names = list(found['breaks'])
  layers = [layer['name'] for layer in found['layers']]
  errors = np.array(
    [[layer['errors'][name] for layer in found['layers']] for name in names], float
  )
  width = max(CELL[0] * len(layers) + 1.4, page.WIDTH)
  figure = page.new(width, layout='constrained')
  axes = figure.subplots()
  # An exact 0 has no logarithm: it is the best there is.
  powers = np.log10(np.maximum(errors, 10.0 ** RANGE[0]))
  axes.set_facecolor(style.BAND)
  image = axes.imshow(
    powers, cmap='Blues', vmin=RANGE[0], vmax=RANGE[1] + 1, aspect='auto'
  )
  for (row, column), error in np.ndenumerate(errors):
    share = (powers[row, column] - RANGE[0]) / (RANGE[1] + 1 - RANGE[0])
    axes.text(
      column,
      row,
      _number(error),
      ha='center',
      va='center',
      fontsize=6.0,
      color='white' if share > _DARK else 'black',
    )
  for row, name in enumerate(names):
    if found['breaks'][name] is not None:
      column = layers.index(found['breaks'][name])
      axes.add_patch(
        Rectangle(
          (column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=style.MARK, lw=1.4
        )
      )
  axes.set_yticks(range(len(names)), names)
  axes.set_xticks(range(len(layers)), layers, rotation=90)
  axes.tick_params(length=2)
  bar = figure.colorbar(image, ax=axes, aspect=16, pad=0.015)
  bar.set_ticks([-6, -4, -2, 0], labels=['1e-6', '1e-4', '0.01', '1'])
  bar.ax.tick_params(length=2)
  bar.ax.set_ylabel('relative error')
  bar.outline.set_visible(False)
  return page.finish(figure, [axes], CELL[1] * len(names), caption)


def _number(error: float) -> str:
  if np.isnan(error):
    return 'n/a'
  if error == 0:
    return '0'
  return f'{error:.0e}'.replace('e-0', 'e-') if error < 0.01 else f'{error:.2f}'
