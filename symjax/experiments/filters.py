"""The filters of a network's first layer, as pictures of what they see."""

import contextlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from symjax import figures, symmetry
from symjax.errors import UserError


def draw_filters(
  params: Any, config: Mapping[str, Any], folder: Path, run: str
) -> None:
  """Draws `filters.png`, the first layer's kernels.

  Args:
    params: of the network, as numpy arrays.
    config: of the run.
    folder: of the figures, which is there.
    run: which run it is, the first words of the caption.
  """
  channels = len(config['data']['mean'])
  if config['model'].get('coordinates', False):
    channels += 2
  layer, rows = first_filters(params, channels)
  shown = f'filters of {layer}, the first layer' if rows else 'no filters to draw'
  figures.first_filters(
    rows,
    folder / 'filters.png',
    f'{run}: {shown}. Red is positive, blue negative, white zero, each filter on a '
    'scale of its own'
    + ('; its channels are below each other.' if rows and channels > 1 else '.'),
  )


def first_filters(params: Any, channels: int) -> tuple[str, dict[str, np.ndarray]]:
  """What the first layer of a network multiplies images with.

  That layer is, in the natural order of names, the first convolution with as many
  inputs as the image has channels, because not every network's first layer sorts
  first; without one the first locally connected layer (`symjax.nn.LocalConv`), of which
  five positions are taken; without one the first dense layer, if its inputs are a
  square image.

  Args:
    params: a parameter tree.
    channels: of the network's input.

  Returns:
    The layer's name, and [filters, channels, height, width] by the name of the
    position, '' where there is one for all; without such a layer '' and nothing.
  """
  with contextlib.suppress(UserError):  # No convolution.
    for name, kernel in symmetry.convolutions(params).items():
      if kernel.shape[2] == channels:
        return name, {'': _filters_first(kernel)}
  kernels = {
    jax.tree_util.keystr(path[:-1], simple=True, separator='/'): np.asarray(leaf)
    for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    if jax.tree_util.keystr(path[-1:], simple=True) == 'kernel'
  }
  for name, kernel in kernels.items():
    if kernel.ndim == 6:
      return name, _at_some_positions(kernel)
  for name, kernel in kernels.items():
    side = math.isqrt(len(kernel) // channels)
    if kernel.ndim == 2 and side * side * channels == len(kernel):
      return name, {'': _filters_first(kernel.reshape(side, side, channels, -1))}
  return '', {}


def _at_some_positions(kernel: np.ndarray) -> dict[str, np.ndarray]:
  """The kernels in a corner, between, and of two neighbours in the middle."""
  height, width = kernel.shape[:2]
  places = [
    (0, 0),
    (height // 4, width // 4),
    (height // 2, width // 2),
    (height // 2, min(width // 2 + 1, width - 1)),
    (height * 3 // 4, width * 3 // 4),
  ]
  return {
    f'row {row}, column {column}': _filters_first(kernel[row, column])
    for row, column in dict.fromkeys(places)
  }


def _filters_first(kernel: Any) -> np.ndarray:
  """[filters, channels, height, width] of [height, width, channels, filters]."""
  return np.asarray(kernel, np.float32).transpose(3, 2, 0, 1)
