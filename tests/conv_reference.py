"""Convolution as sums over taps, in float64 numpy."""

import numpy as np
from hypothesis import strategies as st

from symjax.nn.conv.problem import Problem
from symjax.nn.window import Window


def reference(x, kernel, dy, problem):
  """(y, dx, dk) of float64 arrays, one tap and one group at a time."""
  window, groups = problem.window, problem.groups
  (top, bottom), (left, right) = window.widths
  padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
  y, d_padded, dk = np.zeros(dy.shape), np.zeros(padded.shape), np.zeros(kernel.shape)
  height, width = problem.output_size
  ins, outs = problem.channels // groups, problem.features // groups
  for i, j, g in np.ndindex(*window.kernel, groups):
    row, column = i * window.dilation[0], j * window.dilation[1]
    seen = (
      slice(None),
      slice(row, row + (height - 1) * window.stride[0] + 1, window.stride[0]),
      slice(column, column + (width - 1) * window.stride[1] + 1, window.stride[1]),
      slice(g * ins, (g + 1) * ins),
    )
    features = slice(g * outs, (g + 1) * outs)
    weights = kernel[i, j, :, features]
    y[..., features] += padded[seen] @ weights
    d_padded[seen] += dy[..., features] @ weights.T
    dk[i, j, :, features] = np.einsum('nhwi,nhwo->io', padded[seen], dy[..., features])
  rows, columns = problem.size
  return y, d_padded[:, top : top + rows, left : left + columns], dk


def draw_arrays(problem, seed):
  """A map, a kernel and a gradient of the outputs, float64."""
  rng = np.random.default_rng(seed)
  channels = problem.channels // problem.groups
  return (
    rng.standard_normal((problem.batch, *problem.size, problem.channels)),
    rng.standard_normal((*problem.window.kernel, channels, problem.features)),
    rng.standard_normal((problem.batch, *problem.output_size, problem.features)),
  )


@st.composite
def problems(draw):
  """Small convolutions of every kind that fit their maps."""
  groups = draw(st.sampled_from([1, 1, 2]))
  pair = lambda values: (draw(values), draw(values))  # noqa: E731
  plain = draw(st.booleans())
  one_or_two = st.just(1) if plain else st.integers(1, 2)
  kernel = (3, 3) if plain and draw(st.booleans()) else pair(st.integers(1, 5))
  window = Window(
    kernel,
    pair(one_or_two),
    (pair(st.integers(0, 3)), pair(st.integers(0, 3))),
    pair(one_or_two),
  )
  reach = [
    gap * (taps - 1) + 1 for taps, gap in zip(kernel, window.dilation, strict=True)
  ]
  size = tuple(draw(st.integers(max(1, r - sum(w)), 11)) for r, w in zip(
    reach, window.widths, strict=True
  ))  # fmt: skip
  return Problem(
    draw(st.integers(1, 6)), size, groups * draw(st.integers(1, 3)),
    groups * draw(st.integers(1, 3)), window, groups,
  )  # fmt: skip
