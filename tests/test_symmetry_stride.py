"""Stride arithmetic, against windows that are really laid out."""

import itertools

import pytest

from symjax.nn import Window, same_widths
from symjax.symmetry import nearest_even_sizes, slack, treats_ends_alike

WINDOWS = [
  (kernel, stride, widths, dilation)
  for kernel, stride, widths, dilation in itertools.product(
    (1, 2, 3, 5), (1, 2, 3), ((0, 0), (1, 1), (0, 1)), (1, 2)
  )
]


def reads(size, kernel, stride, widths, dilation):
  """The pixels that each position reads, from the definition."""
  starts = range(-widths[0], size + widths[1] - dilation * (kernel - 1), stride)
  return [[start + dilation * tap for tap in range(kernel)] for start in starts]


@pytest.mark.parametrize('window', WINDOWS)
def test_ends_are_alike_if_and_only_if_positions_are_their_own_mirror_image(window):
  for size in range(9, 16):
    positions = reads(size, *window)
    mirrored = [[size - 1 - pixel for pixel in p[::-1]] for p in positions[::-1]]
    assert treats_ends_alike(size, *window) == (mirrored == positions)
    widths = window[2]
    assert slack(size, *window) == size + widths[1] - 1 - positions[-1][-1]


@pytest.mark.parametrize('size, expected', [(224, 1), (225, 0), (33, 0), (32, 1)])
def test_the_sizes_of_resnets_first_layer(size, expected):
  """Mind the Pad: 7 taps at stride 2 with (3, 3) are even at odd sizes."""
  assert slack(size, 7, 2, (3, 3)) == expected


def test_the_sizes_of_vggs_pooling():
  assert [treats_ends_alike(n, 2, 2) for n in (32, 33)] == [True, False]


@pytest.mark.parametrize('kernel, stride, margin', [(3, 2, 1), (5, 3, 2), (1, 4, 0)])
def test_nearest_sizes_are_even_and_nothing_lies_between(kernel, stride, margin):
  for size in range(8, 20):
    widths = (margin, margin)
    near = nearest_even_sizes(size, kernel, stride, lambda n: widths)  # noqa: B023
    even = [n for n in range(30) if treats_ends_alike(n, kernel, stride, widths)]
    if size in even:
      assert near == (size,)
    else:
      below = max(n for n in even if n < size)
      assert near == (below, min(n for n in even if n > size))


def test_nearest_sizes_follow_tensorflows_padding():
  def widths_at(n):
    return same_widths(n, 3, 2)

  assert widths_at(28) == (0, 1)
  assert nearest_even_sizes(28, 3, 2, widths_at) == (27, 29)


def test_a_size_below_which_the_window_does_not_fit():
  assert nearest_even_sizes(6, 5, 2, lambda n: (0, 0)) == (5, 7)
  assert nearest_even_sizes(4, 5, 2, lambda n: (0, 0)) == (5,)
  assert nearest_even_sizes(1, 5, 2, lambda n: (0, 0)) == (5,)


def test_padding_of_one_end_is_even_where_it_is_not_reached():
  assert nearest_even_sizes(8, 3, 2, lambda n: (0, 1)) == (7, 9)
  assert nearest_even_sizes(8, 3, 1, lambda n: (0, 1)) == ()


def test_the_positions_are_those_of_a_window():
  for window in WINDOWS:
    pairs = [(value, value) for value in window]
    assert Window(*pairs).output_size((13, 13))[0] == len(reads(13, *window))
