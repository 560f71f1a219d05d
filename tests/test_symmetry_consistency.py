"""Agreement of predictions under flips, turns and shifts: laws, and brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjax.errors import UserError
from symjax.symmetry import consistency, shift_protocol, views
from symjax.symmetry.d4 import TRANSFORMS
from symjax.symmetry.transformations import dihedral

SIZE = (6, 8)
SCENE = (9, 12)
RNG = np.random.default_rng(0)
SCENES = RNG.integers(0, 4, (5, *SCENE, 1)).astype(np.float32)
FIRST = jnp.asarray([[0, 0], [3, 4], [1, 0], [2, 2], [0, 3]], jnp.int32)
SECOND = jnp.asarray([[3, 4], [0, 0], [1, 0], [0, 3], [2, 1]], jnp.int32)
DRAW = jax.jit(shift_protocol.draw_offsets, static_argnums=(3,))
SQUARES = jnp.asarray(RNG.integers(0, 3, (5, 7, 7, 1)), jnp.float32)


def pixels(images):
  """A dense prediction that knows nothing of places: each pixel's own value."""
  return images[..., 0]


def upper_left(images):
  """One label an image, which moves with nothing."""
  return images[:, 0, 0, 0]


def rows(images):
  """A dense prediction of the place alone: the row of each pixel."""
  shape = images.shape[:3]
  return jnp.broadcast_to(jnp.arange(shape[1])[None, :, None], shape)


@pytest.mark.parametrize('element', TRANSFORMS)
def test_a_pointwise_prediction_is_consistent_under_d4(element):
  found = consistency(pixels, SQUARES, views.moved(element))
  np.testing.assert_array_equal(found, np.ones(5))


@pytest.mark.parametrize('element', TRANSFORMS)
def test_one_label_an_image_agrees_where_the_moved_image_has_it(element):
  found = consistency(upper_left, SQUARES, views.moved(element))
  expected = dihedral(element)(SQUARES)[:, 0, 0, 0] == SQUARES[:, 0, 0, 0]
  np.testing.assert_array_equal(found, np.asarray(expected, float))
  assert element == 'sr' or found.mean() < 1  # The transpose keeps that corner.


def test_a_prediction_of_rows_survives_what_keeps_rows():
  """Under the vertical flip only the middle row of an odd number stays."""
  np.testing.assert_array_equal(consistency(rows, SQUARES, views.moved('s')), 1)
  flipped = consistency(rows, SQUARES, views.moved('sr2'))
  np.testing.assert_allclose(flipped, 1 / 7, rtol=1e-6)


@pytest.mark.parametrize('shift', [views.crop_shift, views.circular_shift])
def test_a_pointwise_prediction_is_consistent_under_shifts(shift):
  images = SCENES if shift is views.crop_shift else SCENES[:, :6, :8]
  found = consistency(pixels, jnp.asarray(images), shift(FIRST, SECOND, SIZE))
  np.testing.assert_array_equal(found, 1)


def test_crops_are_compared_on_their_overlap_as_brute_force_does():
  """A prediction that depends on the window: rank of the pixel's value in its row."""

  def predict(images):
    return (images[..., 0] > images[..., 0].mean(2, keepdims=True)).astype(jnp.int32)

  found = consistency(
    predict, jnp.asarray(SCENES), views.crop_shift(FIRST, SECOND, SIZE)
  )
  for image, (a, b), share in zip(
    SCENES[..., 0], zip(np.array(FIRST), np.array(SECOND), strict=True), found,
    strict=True,
  ):  # fmt: skip
    windows = [image[o[0] : o[0] + 6, o[1] : o[1] + 8] for o in (a, b)]
    labels = [w > w.mean(1, keepdims=True, dtype=np.float32) for w in windows]
    same = [
      labels[0][y - a[0], x - a[1]] == labels[1][y - b[0], x - b[1]]
      for y in range(max(a[0], b[0]), min(a[0], b[0]) + 6)
      for x in range(max(a[1], b[1]), min(a[1], b[1]) + 8)
    ]
    np.testing.assert_allclose(share, np.mean(same), rtol=1e-6)


def test_labels_of_crops_are_those_of_the_windows():
  views_of = views.crop_shift(FIRST, SECOND, SIZE)
  found = consistency(upper_left, jnp.asarray(SCENES), views_of)
  first, second = (
    SCENES[np.arange(5), o[:, 0], o[:, 1], 0]
    for o in (np.array(FIRST), np.array(SECOND))
  )
  np.testing.assert_array_equal(found, first == second)


def test_circular_and_crop_shifts_are_not_the_same_thing():
  """A sum over all pixels does not see a circular shift, and sees a crop."""
  images = jnp.asarray(SCENES)

  def total(x):
    return x.sum((1, 2, 3))

  circular = consistency(
    total, images[:, :6, :8], views.circular_shift(FIRST, SECOND, SIZE)
  )
  crop = consistency(total, images, views.crop_shift(FIRST, SECOND, SIZE))
  np.testing.assert_array_equal(circular, 1)
  np.testing.assert_array_equal(crop, [0, 0, 1, 0, 0])  # The third one stays.


def test_compare_may_ask_for_less_than_equality():
  near = consistency(
    pixels, SQUARES, views.moved('r'), lambda a, b: jnp.abs(a - b) <= 0.5
  )
  np.testing.assert_array_equal(near, 1)
  half = consistency(upper_left, SQUARES, views.moved('r'), lambda a, b: a * 0 + 0.5)
  np.testing.assert_array_equal(half, 0.5)


def test_the_extended_scene_holds_the_image_in_its_middle():
  scene = views.extended(jnp.asarray(SCENES), (3, 2))
  np.testing.assert_array_equal(scene[:, 1:10, 1:13], SCENES)
  np.testing.assert_array_equal(scene[:, 0, 1:13], SCENES[:, 0])
  np.testing.assert_array_equal(scene[:, 11, 1:13], SCENES[:, -1])


@pytest.mark.parametrize('side, scene', [(224, 256), (32, 37), (28, 32), (3, 5)])
def test_scenes_have_zhangs_size_at_224(side, scene):
  assert shift_protocol.shift_margins((side, side)) == (scene - side,) * 2


def test_offsets_are_uniform_without_the_last_and_shared_by_eight_images():
  first, second = DRAW(0, 0, jnp.arange(8 * 4096), (224, 32))
  groups = np.stack([first, second]).reshape(2, 4096, 8, 2)
  assert (groups == groups[:, :, :1]).all()
  drawn = groups[:, :, 0]
  for axis, margin in enumerate((32, 5)):
    counts = np.bincount(drawn[:, :, axis].ravel(), minlength=margin)
    assert len(counts) == margin
    expected = 8192 / margin
    # Six standard deviations of a count.
    assert abs(counts - expected).max() < 6 * np.sqrt(expected * (1 - 1 / margin))
  equal = (drawn[0] == drawn[1]).all(-1).mean()
  assert abs(equal - 1 / 160) < 6 * np.sqrt(1 / 160 / 4096)


def test_offsets_depend_on_seed_repeat_and_place_alone():
  whole = DRAW(0, 1, jnp.arange(32), (32, 32))
  later = DRAW(0, 1, jnp.arange(12, 44), (32, 32))
  for w, p in zip(whole, later, strict=True):
    np.testing.assert_array_equal(w[12:], p[:20])
  for seed, repeat in ((0, 0), (1, 1)):
    other = DRAW(seed, repeat, jnp.arange(32), (32, 32))
    assert (np.stack(other) != np.stack(whole)).any()


def test_the_diagonal_has_33_offsets_at_224():
  assert shift_protocol.diagonal_offsets((224, 224)) == [(i, i) for i in range(33)]
  assert shift_protocol.diagonal_offsets((32, 16))[-1] == (5, 2)


@pytest.mark.parametrize(
  'predict, message',
  [
    (lambda x: x, 'one an image, .batch., or one a pixel'),
    (lambda x: x[:, ::2, ::2, 0], 'predictions of 3x4 pixels on images of 6x8'),
  ],
)
def test_predictions_that_cannot_be_compared_are_named(predict, message):
  with pytest.raises(UserError, match=message):
    consistency(predict, jnp.asarray(SCENES), views.crop_shift(FIRST, SECOND, SIZE))


def test_a_view_that_changes_the_size_is_named():
  with pytest.raises(UserError, match='have to keep the size'):
    consistency(lambda x: x[:, :3, :, 0], jnp.asarray(SCENES), views.moved('r'))
