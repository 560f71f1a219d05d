"""What a network makes of single images, and of the same ones flipped."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from symjax.figures import page, style
from symjax.figures.class_colors import class_colors

COLUMNS = (
  'image',
  'truth',
  'prediction',
  'of the flipped image,\nflipped back',
  'where these two differ',
)
PALE = 0.25  # How strong the image is behind what differs.


def segmentations(
  pictures: Sequence[Mapping[str, Any]],
  classes: Sequence[str],
  dataset: str,
  path: str | os.PathLike[str],
  caption: str,
) -> None:
  """Writes a row for each image: it, its labels, both predictions, where they differ.

  Args:
    pictures: each has a `name`, its `image`, uint8 [height, width, 1 or 3], and its
      `truth`, `prediction` and `flipped_back` (the prediction of the flipped image,
      flipped back), integers [height, width]; all are of one size. A label that is
      none of a class is that of pixels that have none.
    classes: names of the classes 0, 1, ...
    dataset: its name, by which `class_colors` are chosen.
    path: the PNG to write.
    caption: what stands under the figure.

  Raises:
    OSError: the file cannot be written.
  """
  page.save(draw(pictures, classes, dataset, caption), path)


@style.applied()
def draw(
  pictures: Sequence[Mapping[str, Any]],
  classes: Sequence[str],
  dataset: str,
  caption: str,
) -> Figure:
  """The figure that `segmentations` writes."""
  if not pictures:
    return page.note('no images to show', caption)
  colors = class_colors(dataset, len(classes))
  figure = page.new(page.WIDTH, layout='constrained')
  panels = figure.subplots(len(pictures), len(COLUMNS), squeeze=False)
  for row, picture in zip(panels, pictures, strict=True):
    _draw_row(row, picture, colors)
  for axes, title in zip(panels[0], COLUMNS, strict=True):
    axes.set_title(title, fontsize=style.SMALL)
  names = [*classes, 'unlabelled']
  page.legend_above(
    figure,
    {
      name: Patch(facecolor=color / 255, edgecolor='black', linewidth=0.3)
      for name, color in zip(names, colors, strict=True)
    },
  )
  layout = figure.get_layout_engine()
  assert layout is not None
  layout.execute(figure)  # How wide panels are does not depend on the page's height.
  height, width = pictures[0]['truth'].shape
  high = panels[0, 0].get_window_extent().width / page.DPI * height / width
  return page.finish(figure, list(panels[:, 0]), high, caption)


def _draw_row(
  row: Sequence[Axes], picture: Mapping[str, Any], colors: np.ndarray
) -> None:
  image = np.broadcast_to(picture['image'], (*picture['truth'].shape, 3))
  differs = picture['prediction'] != picture['flipped_back']
  pale = 255 - PALE * (255 - image.mean(axis=-1, keepdims=True))
  mark = 255 * np.array(to_rgb(style.MARK))
  shown = [
    image,
    *(_paint(picture[key], colors) for key in ('truth', 'prediction', 'flipped_back')),
    np.where(differs[..., None], mark, pale).astype(np.uint8),
  ]
  for axes, pixels in zip(row, shown, strict=True):
    # Classes have no colours between them; a panel has the shape of the image.
    axes.imshow(pixels, interpolation='nearest', aspect='auto')
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
  row[0].set_ylabel(picture['name'], fontsize=style.SMALL)
  row[-1].set_xlabel(f'{100 * differs.mean():.1f}% of pixels', fontsize=style.SMALL)


def _paint(labels: np.ndarray, colors: np.ndarray) -> np.ndarray:
  """Colours [height, width, 3] of labels; those of no class have the last one."""
  none = len(colors) - 1
  return colors[np.where((labels >= 0) & (labels < none), labels, none)]
