"""How right a network is while a window moves over an image."""

import os
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from symjax.figures import page, style


def diagonal_shift(
  found: Mapping[str, Any], path: str | os.PathLike[str], caption: str
) -> None:
  """Writes scores against the offset of the window: thin for single images, their mean.

  Args:
    found: `diagonal` of `evaluation.json`; reads `score`, `offsets`, `mean` (over all
      images, one for each offset) and `images` (of each of some, likewise).
    path: the PNG to write.
    caption: what stands under the figure.

  Raises:
    KeyError: a key is missing.
    OSError: the file cannot be written.
  """
  page.save(draw(found, caption), path)


@style.applied()
def draw(found: Mapping[str, Any], caption: str) -> Figure:
  """The figure that `diagonal_shift` writes."""
  figure = page.new(0.75 * page.WIDTH, layout='constrained')
  axes = figure.subplots()
  steps = [max(offset) for offset in found['offsets']]
  curves = [
    axes.plot(steps, course, color=color, linewidth=0.6, alpha=0.7)[0]
    for course, color in zip(
      found['images'], style.by_depth(len(found['images'])), strict=True
    )
  ]
  (mean,) = axes.plot(steps, found['mean'], color='black', linewidth=2.4)
  axes.set_xlabel('offset along the diagonal (pixels)')
  axes.set_ylabel(found['score'])
  axes.xaxis.set_major_locator(MaxNLocator(integer=True))
  axes.set_xlim(0, steps[-1])
  axes.grid(axis='y')
  handles = {'mean over all images': mean}
  if curves:
    handles['single images'] = curves[len(curves) // 2]
  page.legend_above(figure, handles)
  return page.finish(figure, [axes], 2.6, caption)
