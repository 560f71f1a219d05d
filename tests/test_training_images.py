import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage, stats

from symjax.data.derived import rotate
from symjax.errors import UserError
from symjax.training.images import Augmentation, Normalization

IMAGES = np.random.default_rng(0).integers(1, 256, (6, 9, 7, 3)).astype(np.uint8)
LABELS = jnp.arange(6)


def test_normalization_is_per_channel():
  mean, std = np.array([0.1, 0.5, 0.9]), np.array([0.2, 0.3, 0.4])
  expected = (IMAGES / 255 - mean) / std
  np.testing.assert_allclose(
    Normalization(tuple(mean), tuple(std))(IMAGES), expected, atol=1e-5
  )


def test_normalization_resizes():
  ones = np.full((2, 8, 6, 1), 255, np.uint8)
  normalization = Normalization((0.0,), (1.0,), image_size=(33, 31))
  assert normalization.output_shape(ones.shape[1:]) == (33, 31, 1)
  np.testing.assert_allclose(normalization(ones), np.ones((2, 33, 31, 1)), atol=1e-6)


def test_channels_must_match():
  with pytest.raises(UserError, match='3 and 3 values for images of 1 channels'):
    Normalization((0.5,) * 3, (0.5,) * 3).output_shape((28, 28, 1))


def shifted(image, dy, dx, border):
  padded = np.pad(image, ((border, border), (border, border), (0, 0)))
  return padded[dy : dy + image.shape[0], dx : dx + image.shape[1]]


def test_every_augmented_image_is_a_flip_and_a_crop_of_its_own(key):
  augment = Augmentation(flip=True, shift=2)
  augmented, labels = augment(key, jnp.asarray(IMAGES), LABELS)
  assert labels is LABELS
  augmented = np.asarray(augmented)
  seen = set()
  for image, result in zip(IMAGES, augmented, strict=True):
    matches = [
      (flip, dy, dx)
      for flip in (False, True)
      for dy in range(5)
      for dx in range(5)
      if (shifted(image[:, ::-1] if flip else image, dy, dx, 2) == result).all()
    ]
    assert len(matches) == 1
    seen.add(matches[0])
  assert len(seen) > 1


def test_draws_are_uniform(key):
  """Of 2,000 images every offset of 25 and either flip come up as often as due."""
  image = np.zeros((1, 5, 5, 1), np.uint8)
  image[0, 2, 1] = 1
  images = jnp.asarray(np.repeat(image, 2000, axis=0))
  shifted, _ = Augmentation(shift=2)(key, images, LABELS)
  counts = np.asarray(shifted).sum(axis=(0, 3))
  np.testing.assert_allclose(counts[:, :4], 80, atol=5 * np.sqrt(80))
  flipped, _ = Augmentation(flip=True)(key, images, LABELS)
  flips = int(np.asarray(flipped)[:, 2, 3, 0].sum())
  assert abs(flips - 1000) < 5 * np.sqrt(500)


def test_an_image_is_drawn_by_its_place_whatever_its_neighbours(key):

  def augment(key, images):
    return Augmentation(flip=True, shift=2)(key, jnp.asarray(images), LABELS)[0]

  whole = augment(key, IMAGES)
  np.testing.assert_array_equal(augment(key, IMAGES[:3]), whole[:3])
  assert not np.array_equal(augment(jax.random.key(1), IMAGES), whole)


def test_turned_images_are_those_of_the_numpy_rotation(key):
  """An angle is found that explains each image, and the angles fill their range."""
  smooth = ndimage.gaussian_filter(IMAGES.astype(float), (0, 1.5, 1.5, 0))
  images = np.repeat(smooth, 20, axis=0).astype(np.uint8)
  turned, _ = Augmentation(rotation=30.0)(key, jnp.asarray(images), LABELS)
  found = []
  for image, result in zip(images, np.asarray(turned), strict=True):
    at = np.arange(-30, 30.5, 0.5)
    off = [np.abs(rotate(image, -np.deg2rad(a)).astype(int) - result).max() for a in at]
    assert min(off) <= 3  # Grey levels, within a quarter of a degree.
    found.append(at[np.argmin(off)])
  assert stats.kstest(found, stats.uniform(-30, 60).cdf).pvalue > 1e-3


def test_turning_leaves_the_other_draws_as_they_are(key):
  images = jnp.asarray(IMAGES)
  without = Augmentation(flip=True, shift=2)(key, images, LABELS)[0]
  slightly = Augmentation(flip=True, shift=2, rotation=1e-4)(key, images, LABELS)[0]
  np.testing.assert_array_equal(slightly, without)


@pytest.mark.parametrize('degrees', [-1.0, 181.0, float('nan')])
def test_a_rotation_that_is_none_is_refused(degrees):
  with pytest.raises(UserError, match='augmentation.rotation=.* between 0 and 180'):
    Augmentation(rotation=degrees)


def test_nothing_asked_is_nothing_done(key):
  images = jnp.asarray(IMAGES)
  assert Augmentation()(key, images, LABELS)[0] is images
