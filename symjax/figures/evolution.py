"""The symmetry of every layer over the course of training."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from symjax.figures import page, style

NAMED = 16  # Layers; more get a colour bar.


def symmetry_over_training(
  history: Sequence[Mapping[str, Any]], path: str | os.PathLike[str], caption: str
) -> None:
  """Writes the course of every layer's score over epochs, and of their mean.

  Layers are thin lines from dark (first) to light (last), the mean a thick one; the
  dotted line is the mean of what random kernels of the same sizes score.

  Args:
    history: one record per measurement; reads `step`, `epoch`, `mean`, `layers`
      ({name: score}) and `random` ({name: mean}). Any number may be null. Of records of
      the same step, as a resumed run leaves them, the last counts.
    path: the PNG to write.
    caption: what stands under the figure.

  Raises:
    KeyError: a key is missing from a record.
    OSError: the file cannot be written.
  """
  page.save(draw(history, caption), path)


@style.applied()
def draw(history: Sequence[Mapping[str, Any]], caption: str) -> Figure:
  """The figure that `symmetry_over_training` writes."""
  if not history:
    return page.note('no measurement of symmetry', caption)
  by_step = {record['step']: record for record in history}
  records = [by_step[step] for step in sorted(by_step)]
  names = list(dict.fromkeys(name for record in records for name in record['layers']))
  figure = page.new(page.WIDTH, layout='constrained')
  axes = figure.subplots()
  epochs = [record['epoch'] for record in records]
  scores = [[record['layers'].get(name) for record in records] for name in names]
  curves = [
    style.line(axes, epochs, course, color=color, linewidth=0.8, label=name)
    for name, course, color in zip(
      names, scores, style.by_depth(len(names)), strict=True
    )
  ]
  means = [record['mean'] for record in records]
  randoms = [_mean(record['random'].values()) for record in records]
  thick = style.line(axes, epochs, means, color='black', linewidth=2.4, zorder=3)
  dotted = style.line(axes, epochs, randoms, color='black', linestyle=':', zorder=3)
  style.score_axis(axes, [*sum(scores, []), *means, *randoms])
  style.epoch_axis(axes, epochs)
  if len(names) <= NAMED:
    axes.legend(loc='upper left', bbox_to_anchor=(1.01, 1), handles=curves)
  else:
    _draw_depth(axes, names)
  handles = {'mean over layers': thick, 'mean of random kernels': dotted}
  page.legend_above(figure, handles)
  return page.finish(figure, [axes], 2.6, caption)


def _mean(values: Iterable[float | None]) -> float:
  known = [value for value in values if value is not None]
  return float(np.mean(known)) if known else np.nan


def _draw_depth(axes: Axes, names: Sequence[str]) -> None:
  """A colour bar of the layers, with some of their names."""
  colors = ScalarMappable(cmap=ListedColormap(style.by_depth(len(names))))
  colors.set_clim(-0.5, len(names) - 0.5)
  named = np.linspace(0, len(names) - 1, 9).round().astype(int).tolist()
  bar = axes.figure.colorbar(colors, ax=axes, aspect=30, pad=0.02)
  bar.set_ticks(named, labels=[names[i] for i in named])
  bar.ax.tick_params(length=2)
  bar.ax.invert_yaxis()  # The first layer on top, as in a legend.
  bar.outline.set_visible(False)
