"""`positioned_mnist`: the label is the place, and nothing else tells of it."""

import pathlib

import numpy as np
import pytest

from symjax import data
from symjax.data.derived import DERIVED
from symjax.data.positioned_digits import CANVAS, DIGIT, FAR, NEAR, places, positioned

REAL = pathlib.Path(__file__).parent.parent.parent / 'shared/data/tfds'


def pictures(count, size=28, channels=1):
  rng = np.random.default_rng(0)
  shape = (count, size, size, channels)
  return rng.integers(1, 256, shape, dtype=np.uint8), rng.integers(10, size=count)


@pytest.mark.parametrize('size, channels', [(28, 1), (33, 3), (20, 1)])
def test_a_canvas_holds_the_middle_of_its_image_and_is_black_elsewhere(size, channels):
  images, labels = pictures(20, size, channels)
  canvas, quadrants = positioned('train', images, labels)
  assert canvas.shape == (20, CANVAS, CANVAS, channels)
  assert (canvas.dtype, quadrants.dtype) == (np.uint8, np.int32)
  margin = (size - DIGIT) // 2
  for picture, image, quadrant in zip(canvas, images, quadrants, strict=True):
    rows, columns, _ = picture.nonzero()
    top, left = rows.min(), columns.min()
    assert (rows.max() - top, columns.max() - left) == (DIGIT - 1, DIGIT - 1)
    middle = image[margin : margin + DIGIT, margin : margin + DIGIT]
    np.testing.assert_array_equal(
      picture[top : top + DIGIT, left : left + DIGIT], middle
    )
    # Centres between pixels: (2 top + 19) / 2 against the canvas's 39 / 2.
    lower, right = 2 * top + DIGIT > CANVAS, 2 * left + DIGIT > CANVAS
    assert quadrant == 2 * lower + right


def test_places_are_uniform_and_the_same_every_time():
  corners, quadrants = places('train', 40_000)
  again, _ = places('train', 40_000)
  np.testing.assert_array_equal(corners, again)
  assert (places('test', 100)[0] != corners[:100]).any()
  np.testing.assert_allclose(np.bincount(quadrants) / 40_000, 0.25, atol=0.01)
  offsets, counts = np.unique(corners, return_counts=True)
  np.testing.assert_array_equal(offsets, [*NEAR, *FAR])
  np.testing.assert_allclose(counts / 80_000, 1 / 16, atol=0.005)


@pytest.mark.parametrize('stride', [1, 2, 4, 8])
def test_circular_translations_by_a_stride_carry_each_quadrant_onto_the_others(stride):
  """So no function that they leave as it is can do better than chance."""
  near, far = (np.sort(ends % stride) for ends in (NEAR, FAR))
  np.testing.assert_array_equal(near, far)
  assert CANVAS % stride == 0
  # The two halves are mirror images: neither is closer to its border.
  np.testing.assert_array_equal(CANVAS - DIGIT - FAR[::-1], NEAR)


def test_it_can_be_named():
  recipe = DERIVED['positioned_mnist']
  assert (recipe.source, recipe.num_classes) == ('mnist', 4)


@pytest.mark.skipif(not REAL.exists(), reason='no MNIST beside this checkout')
def test_real_digits_lose_little(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  dataset = data.load('positioned_mnist', 'test', str(REAL))
  assert dataset.images.shape == (10_000, 40, 40, 1)
  # Of their ink 3.2%: digits are 20 pixels high, but centred by mass and not by height.
  whole = data.load('mnist', 'test', str(REAL)).images.sum(dtype=np.int64)
  assert dataset.images.sum(dtype=np.int64) == pytest.approx(0.968 * whole, rel=1e-3)
