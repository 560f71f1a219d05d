"""The filters of a first layer, one by one."""

import os
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from symjax.figures import page, style

COLUMNS = 16
SHOWN = 32  # Filters of a row at most.
CELL = 0.37  # Inches: the side of a filter, with the gap to the next.
NAMES = 1.2  # Inches: room for the names of the rows.
PIXELS = 12  # Of the picture, for the side of a filter at least: gaps look alike then.


def first_filters(
  rows: Mapping[str, np.ndarray], path: str | os.PathLike[str], caption: str
) -> None:
  """Writes the filters of a layer, the channels of each below each other.

  Colours run from minus to plus the largest magnitude of each filter, white at zero.

  Args:
    rows: [filters, channels, height, width] arrays of one shape by the name of their
      row, '' for none; of more than `SHOWN` filters the first ones are drawn.
    path: the PNG to write.
    caption: what stands under the figure.

  Raises:
    OSError: the file cannot be written.
  """
  page.save(draw(rows, caption), path)


@style.applied()
def draw(rows: Mapping[str, np.ndarray], caption: str) -> Figure:
  """The figure that `first_filters` writes."""
  if not rows:
    return page.note('no filters of a first layer', caption)
  strips, names = [], []
  for name, array in rows.items():
    for first in range(0, min(len(array), SHOWN), COLUMNS):
      part = array[first : min(first + COLUMNS, SHOWN)]
      strips.append(_strip(part))
      number = f'filters {first + 1}-{first + len(part)}'
      names.append(f'{name}\n{number}' if name else number)
  channels = next(iter(rows.values())).shape[1]
  wide = CELL * max(strip.shape[1] for strip in strips) / strips[0].shape[0] * channels
  high = CELL * channels * len(strips)
  caption = page.wrap(caption, page.WIDTH - 2 * page.MARGIN, 8.0)
  bottom = 2 * page.MARGIN + 0.15 * (1 + caption.count('\n'))
  height = bottom + high + page.MARGIN
  figure = page.new(page.WIDTH)
  figure.set_figheight(height)
  axes = figure.add_axes(
    (NAMES / page.WIDTH, bottom / height, wide / page.WIDTH, high / height)
  )
  widest = max(strip.shape[1] for strip in strips)
  mosaic = np.concatenate([_widen(strip, widest) for strip in strips])
  axes.set_facecolor(style.BAND)  # What is nothing shows it.
  axes.imshow(mosaic, cmap='RdBu_r', vmin=-1, vmax=1, aspect='auto')
  tall = len(strips[0])
  axes.set_yticks((np.arange(len(strips)) + 0.5) * tall - 0.5, names)
  axes.set_xticks([])
  axes.tick_params(length=0)
  axes.spines[:].set_visible(False)
  figure.text(page.MARGIN / page.WIDTH, page.MARGIN / height, caption, fontsize=8)
  return figure


def _strip(filters: np.ndarray) -> np.ndarray:
  """Pixels of some filters side by side, NaN between them."""
  count, channels, height, width = filters.shape
  largest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
  scaled = filters / np.where(largest == 0, 1, largest)
  times = -(-PIXELS // max(height, width))
  pixels = scaled.repeat(times, axis=2).repeat(times, axis=3)
  side = max(height, width) * times
  gap = max(1, side // 8)
  framed = np.full((count, channels, side + gap, side + gap), np.nan, np.float32)
  framed[:, :, : pixels.shape[2], : pixels.shape[3]] = pixels
  return framed.transpose(1, 2, 0, 3).reshape(channels * (side + gap), -1)


def _widen(strip: np.ndarray, width: int) -> np.ndarray:
  missing = ((0, 0), (0, width - strip.shape[1]))
  return np.pad(strip, missing, constant_values=np.nan)
