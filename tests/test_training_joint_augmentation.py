"""Labels go where their pixels go."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from symjax.errors import UserError
from symjax.training.joint_augmentation import JointAugmentation

VOID = 200
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 50, (6, 9, 7), np.uint8)


def encode(labels):
  """Images that tell their labels: four levels of grey a label, and two of its own."""
  return np.stack([labels * 4, 250 - labels, labels], axis=-1).astype(np.uint8)


def blocks():
  """[8, 32, 32] labels in squares of 8: most pixels have neighbours like themselves."""
  coarse = RNG.integers(0, 50, (8, 4, 4), np.uint8)
  return coarse.repeat(8, axis=1).repeat(8, axis=2)


@functools.cache
def compiled(augment):
  return jax.jit(augment.__call__)


def apply(augment, key, labels):
  images, labels = compiled(augment)(key, encode(labels), labels)
  assert images.dtype == labels.dtype == jnp.uint8
  return np.asarray(images), np.asarray(labels)


def test_pixels_move_with_their_labels_to_the_bit(key):
  """Flip, crop and shift, at scale 1: images still encode their labels."""
  fill = (0.2, 0.4, 0.6)
  augment = JointAugmentation(True, (1, 1), (8, 10), 2, VOID, fill)
  images, labels = apply(augment, key, LABELS)
  assert labels.shape == (6, 8, 10) and images.shape == (6, 8, 10, 3)
  assert augment.output_shape((9, 7, 3)) == (8, 10, 3)
  outside = labels == VOID
  assert 0 < outside.sum() < labels.size / 2
  np.testing.assert_array_equal(images[~outside], encode(labels)[~outside])
  np.testing.assert_array_equal(images[outside] - np.array([51, 102, 153]), 0)


def test_every_window_comes_up_as_often_as_due(key):
  """4 places down, and across those around a smaller image, each shifted by 1 more."""
  labels = np.zeros((2000, 5, 3), np.uint8)
  labels[:, 2, 1] = 1
  augment = JointAugmentation(crop=(4, 4), shift=1, ignore_label=VOID)
  _, moved = apply(augment, key, labels)
  # The window starts at row -1 ... 2 and column -2 ... 1.
  counts = (moved == 1).sum(0)
  assert counts.sum() == 2000
  np.testing.assert_allclose(counts, 125, atol=5 * np.sqrt(125))


def test_half_are_flipped_and_flipped_twice_they_are_as_before(key):
  ladders = np.tile(np.arange(3, dtype=np.uint8), (2000, 1, 1))
  flip = compiled(JointAugmentation(flip=True))
  images, labels = flip(key, encode(ladders), ladders)
  assert abs((np.asarray(labels)[:, 0, 0] == 2).sum() - 1000) < 5 * np.sqrt(500)
  images, labels = flip(key, images, labels)
  np.testing.assert_array_equal(labels, ladders)
  np.testing.assert_array_equal(images, encode(ladders))


def test_windows_avoid_what_fills_up_a_canvas(key):
  """12 of 20 rows and 15 of 20 columns are an image: a window of 8 sees all its own."""
  labels = np.full((300, 20, 20), VOID, np.uint8)
  labels[:, :12, :15] = np.arange(180).reshape(12, 15)
  _, seen = apply(JointAugmentation(crop=(8, 8), ignore_label=VOID), key, labels)
  starts = seen[:, 0, 0]
  assert set(starts) == {15 * row + column for row in range(5) for column in range(8)}
  window = 15 * np.arange(8)[:, None] + np.arange(8)
  np.testing.assert_array_equal(seen, starts[:, None, None] + window)


def test_nothing_asked_is_nothing_done(key):
  """Nor does a window of the whole canvas leave it to avoid what is ignored."""
  labels = np.full((6, 9, 7), VOID, np.uint8)
  labels[:, :5, :4] = LABELS[:, :5, :4]
  images, same = apply(JointAugmentation(crop=(9, 7), ignore_label=VOID), key, labels)
  np.testing.assert_array_equal(images, encode(labels))
  np.testing.assert_array_equal(same, labels)


# An odd side to an even one, so that no centre lies between two pixels.
@pytest.mark.parametrize('factor, size', [(0.6, 20), (1.75, 58)])
def test_scaling_is_pillow_s(key, factor, size):
  """Labels to the bit, images to one level of rounding."""
  labels = RNG.integers(0, 50, (2, 33, 33), np.uint8)
  augment = JointAugmentation(
    scale=(factor, factor), crop=(size, size), ignore_label=VOID
  )
  images, scaled = apply(augment, key, labels)
  for i, image in enumerate(encode(labels)):
    pillow = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
    assert abs(images[i].astype(int) - np.asarray(pillow)).max() <= 1
    nearest = Image.fromarray(labels[i]).resize((size, size), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(scaled[i], nearest)


SCALING = JointAugmentation(True, (0.5, 2), (24, 24), 4, VOID)


def test_labels_follow_images_through_every_scale(key):
  """Where all neighbours have one label, the image still encodes it."""
  images, labels = apply(SCALING, key, blocks())
  inner = labels[:, 2:-2, 2:-2]
  even = inner != VOID
  for dy in range(-2, 3):
    for dx in range(-2, 3):
      even &= labels[:, 2 + dy : 22 + dy, 2 + dx : 22 + dx] == inner
  assert even.mean() > 0.2
  np.testing.assert_array_equal(images[:, 2:-2, 2:-2][even], encode(inner)[even])
  np.testing.assert_array_equal(images[labels == VOID], 0)


def test_a_pair_is_drawn_by_its_place_whatever_devices_and_neighbours(key):
  labels = blocks()
  alone = apply(SCALING, key, labels)
  mesh = jax.make_mesh((4,), ('batch',), axis_types=(jax.sharding.AxisType.Auto,))
  split = jax.NamedSharding(mesh, jax.P('batch'))
  placed = jax.device_put((encode(labels), labels), split)
  for one, four in zip(alone, compiled(SCALING)(key, *placed), strict=True):
    np.testing.assert_array_equal(one, four)
  others = labels.copy()
  others[3:] = 7
  np.testing.assert_array_equal(apply(SCALING, key, others)[1][:3], alone[1][:3])


@pytest.mark.parametrize(
  'fields, message',
  [
    ({'scale': (0, 1)}, r'augmentation.scale=\(0, 1\)'),
    ({'scale': (2, 1)}, 'least and the greatest'),
    ({'crop': (0, 4)}, 'augmentation.crop'),
    ({'crop': (4.0, 4.0)}, 'augmentation.crop.*whole numbers'),
    ({'shift': -1}, 'augmentation.shift=-1'),
    ({'shift': 1}, 'no label for pixels to ignore'),
    ({'scale': (0.5, 1)}, 'no label for pixels to ignore'),
    ({'crop': (9, 8)}, 'no label for pixels to ignore'),
    ({'fill': (0.5,)}, 'a colour of 1 channels images of 3'),
  ],
)
def test_what_cannot_be_is_said(key, fields, message):
  with pytest.raises(UserError, match=message) as failure:
    apply(JointAugmentation(**fields), key, LABELS)
  assert '\n' not in str(failure.value)
