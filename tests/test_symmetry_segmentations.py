"""Agreement of segmentations under flips and shifts: laws, and brute force."""

import jax.numpy as jnp
import numpy as np
import pytest

from symjax.errors import UserError
from symjax.symmetry import agreement, consistency, views

HEIGHT, WIDTH = SIZE = (6, 8)
RNG = np.random.default_rng(0)
FIRST, SECOND = RNG.integers(0, 3, (2, 5, *SIZE))
LABELS = RNG.integers(0, 4, (5, *SIZE))
LABELS[3] = 3  # An image without a label,
LABELS[4, 1:, :] = 3  # and one with few.
COUNTED = LABELS != 3
IMAGES = jnp.asarray(RNG.integers(0, 4, (5, *SIZE, 3)), jnp.float32)
SHIFTS = [(0, 1), (2, 0), (-1, 3), (-5, -7), (0, 0)]


def counts(first, second, counted, move):
  """By loops: per image, equal pixels and pixels compared.

  `move` says where pixel (y, x) of the first view is in the second.
  """
  found = []
  for labels, others, kept in zip(first, second, counted, strict=True):
    pairs = [
      (labels[y, x], others[move(y, x)])
      for y in range(HEIGHT)
      for x in range(WIDTH)
      if kept[y, x]
      and 0 <= move(y, x)[0] < HEIGHT
      and 0 <= move(y, x)[1] < WIDTH
    ]  # fmt: skip
    found.append((sum(a == b for a, b in pairs), len(pairs)))
  return np.array(found).T


def assert_counts(found, expected):
  np.testing.assert_array_equal(found.same, expected[0])
  np.testing.assert_array_equal(found.compared, expected[1])
  with np.errstate(invalid='ignore'):
    np.testing.assert_allclose(found.shares, expected[0] / expected[1], rtol=1e-6)
  np.testing.assert_allclose(
    found.pooled, expected[0].sum() / expected[1].sum(), rtol=1e-6
  )


@pytest.mark.parametrize('counted', [None, COUNTED], ids=['all', 'labelled'])
@pytest.mark.parametrize('shift', SHIFTS)
def test_shifts_are_compared_on_their_overlap_as_brute_force_does(shift, counted):
  expected = counts(
    FIRST,
    SECOND,
    np.ones_like(COUNTED) if counted is None else counted,
    lambda y, x: (y + shift[0], x + shift[1]),
  )
  if counted is None:
    area = (HEIGHT - abs(shift[0])) * (WIDTH - abs(shift[1]))
    assert (expected[1] == area).all()
  assert_counts(
    agreement(FIRST, SECOND, views.shifted(shift, SIZE), counted=counted), expected
  )


def test_flips_are_compared_as_brute_force_does():
  for element, move in (
    ('s', lambda y, x: (y, WIDTH - 1 - x)),
    ('sr2', lambda y, x: (HEIGHT - 1 - y, x)),
  ):
    found = agreement(FIRST, SECOND, views.moved(element), counted=COUNTED)
    assert_counts(found, counts(FIRST, SECOND, COUNTED, move))


def test_an_image_without_a_label_has_no_share_and_adds_nothing_to_the_pool():
  found = agreement(FIRST, SECOND, views.moved('s'), counted=COUNTED)
  assert np.isnan(found.shares[3]) and np.isfinite(found.shares[4])
  others = np.array([0, 1, 2, 4])
  rest = agreement(
    FIRST[others], SECOND[others], views.moved('s'), counted=COUNTED[others]
  )
  assert found.pooled == rest.pooled
  # Images that are compared on different numbers of pixels weigh differently.
  assert abs(rest.pooled - rest.shares.mean()) > 1e-3


def test_the_vacated_strip_is_filled_and_the_rest_moves():
  images = np.asarray(IMAGES)
  for fill, strip in (('edge', images[:, :, :1]), ('constant', 0 * images[:, :, :1])):
    moved = views.shifted((0, 2), SIZE, fill).transform(IMAGES)
    np.testing.assert_array_equal(moved[:, :, 2:], images[:, :, :-2])
    np.testing.assert_array_equal(moved[:, :, :1], strip)
    np.testing.assert_array_equal(moved[:, :, 1:2], strip)
  wrapped = views.shifted((-2, 3), SIZE, 'wrap').transform(IMAGES)
  np.testing.assert_array_equal(wrapped, np.roll(images, (-2, 3), (1, 2)))


@pytest.mark.parametrize('shift', [(1, 2), (-1, 1), (0, -2)])
def test_a_scene_that_is_larger_has_real_pixels_to_move_in(shift):
  """Nothing is filled: both views are windows on the scene."""
  scenes = RNG.normal(size=(2, HEIGHT + 2, WIDTH + 4, 3))
  view = views.shifted(shift, SIZE)
  for how, (y, x) in (
    (view.reference, (1, 2)),
    (view.transform, (1, 2) - np.array(shift)),
  ):
    expected = scenes[:, y : y + HEIGHT, x : x + WIDTH]
    np.testing.assert_allclose(how(jnp.asarray(scenes)), expected, rtol=1e-6)


def brightest(images):
  """A segmenter that knows nothing of neighbours: the largest channel of a pixel."""
  return jnp.argmax(images, -1)


def blurred(images):
  """One that does, and treats all directions alike, on a circle both ways.

  In whole numbers, so that it is exactly as symmetric as its kernel.
  """
  around = sum(jnp.roll(images, (y, x), (1, 2)) for y in (-1, 0, 1) for x in (-1, 0, 1))
  return jnp.argmax(around + 2 * images, -1)


def misplaced(images):
  """One whose output lies two pixels to the right of what it is about."""
  return jnp.roll(brightest(images), 2, axis=2)


def test_an_equivariant_segmenter_is_perfectly_consistent():
  flips = [views.moved(element) for element in ('s', 'sr2', 'r2')]
  for fill in ('edge', 'wrap'):
    shifts = [views.shifted(shift, SIZE, fill) for shift in SHIFTS]
    for view in flips + shifts:
      np.testing.assert_array_equal(consistency(brightest, IMAGES, view), 1)
      if fill == 'wrap' or view in flips:
        np.testing.assert_array_equal(consistency(blurred, IMAGES, view), 1)
  # What is not circular, like the images, is seen near the borders alone.
  [filled] = [views.shifted((0, 1), SIZE)]
  assert 0.3 < float(consistency(blurred, IMAGES, filled).mean()) < 1


def test_a_misplaced_segmenter_scores_what_brute_force_says():
  """Its flipped prediction of the flipped image lies two pixels to the left."""
  alone = np.asarray(brightest(IMAGES))
  right, left = np.roll(alone, 2, 2), np.roll(alone, -2, 2)
  expected = counts(right, left, COUNTED, lambda y, x: (y, x))
  with np.errstate(invalid='ignore'):
    shares = expected[0] / expected[1]
  found = consistency(misplaced, IMAGES, views.moved('s'), counted=COUNTED)
  np.testing.assert_allclose(found, shares, rtol=1e-6)
  assert np.nanmean(shares) < 0.8
  # Down or up nothing is wrong with it.
  np.testing.assert_array_equal(consistency(misplaced, IMAGES, views.moved('sr2')), 1)


@pytest.mark.parametrize('shift', [(6, 0), (0, -8), (-9, 20)])
def test_a_shift_out_of_view_is_named_with_the_largest_possible(shift):
  with pytest.raises(
    UserError,
    match=rf'shift by {shift[0]},{shift[1]} .* of 6x8 pixels .* possible is 5,7',
  ):
    views.shifted(shift, SIZE)


def test_what_cannot_be_compared_is_named():
  view = views.shifted((1, 0), SIZE)
  with pytest.raises(UserError, match='scenes of 5x8 pixels are smaller .* 6x8'):
    view.transform(IMAGES[:, 1:])
  with pytest.raises(UserError, match='predictions of 3x4 pixels on images of 6x8'):
    consistency(lambda x: x[:, ::2, ::2, 0], IMAGES, view)
  with pytest.raises(UserError, match=r'counts has shape \(5,\)'):
    agreement(FIRST, SECOND, view, counted=COUNTED[:, 0, 0])
