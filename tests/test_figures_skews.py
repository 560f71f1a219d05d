"""The figure of where mean kernels lean."""

import numpy as np
import pytest

from symjax.figures.skews import draw


def layer(stride, skew):
  return {'stride': stride, 'skew': skew}


def dots(figure, marker='o'):
  """[n, 2] points of a marker, (right, up) of the page, and whether each is full."""
  figure.draw_without_rendering()  # Makes the axes square.
  (axes,) = figure.axes
  points, full = [], []
  for line in axes.lines:
    if line.get_marker() == marker:
      points += list(axes.transData.transform(line.get_xydata()))
      full += [line.get_markerfacecolor() != 'none'] * len(line.get_xydata())
  return np.array(points) - axes.transData.transform((0, 0)), full


@pytest.mark.parametrize('skew', [(-0.3, 0.2), (0.3, -0.2), (-0.1, -0.1)])
def test_a_kernel_that_leans_up_is_drawn_above(skew):
  figure = draw({'net': {'layers': [layer(2, skew), layer(1, (0.0, 0.0))]}}, 'caption')
  points, full = dots(figure)
  assert full == [False, True]
  scale = points[1][0] / skew[1]
  assert scale > 0
  np.testing.assert_allclose(points[1], [scale * skew[1], -scale * skew[0]])
  np.testing.assert_allclose(dots(figure, 'x')[0], [points[1]])


def test_layers_without_a_skew_or_a_stride_are_left_out():
  layers = [layer(2, (0.1, 0.1)), layer(None, (0.2, 0.2)), layer(1, None)]
  points, _ = dots(draw({'net': {'layers': layers}}, 'caption'))
  assert len(points) == 1
