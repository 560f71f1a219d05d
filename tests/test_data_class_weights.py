import numpy as np
import pytest

from symjax.data import Dataset, class_weights, median_frequency
from symjax.data.class_weights import SEGNET_CAMVID
from symjax.errors import UserError

LABELS = np.array(
  [
    [[0, 0, 0, 0], [0, 0, 1, 9]],
    [[2, 2, 1, 1], [1, 1, 9, 9]],
  ],
  np.uint8,
)


def dataset(name='camvid', num_classes=11):
  images = np.zeros((*LABELS.shape, 3), np.uint8)
  return Dataset(name, 'train', images, LABELS, num_classes, '', 'segmentation', 9)


def test_median_frequency_by_hand():
  """6 of 8 pixels, 5 of 16, 2 of 8; the ignored count as pixels of their images."""
  expected = 0.3125 / np.array([6 / 8, 5 / 16, 2 / 8])
  np.testing.assert_allclose(median_frequency(LABELS, 3), expected)


def test_equal_classes_weigh_the_same():
  labels = np.arange(5, dtype=np.uint8).repeat(6).reshape(1, 5, 6)
  assert (median_frequency(labels, 5) == 1).all()


def test_a_class_that_no_image_shows_weighs_nothing():
  weights = median_frequency(LABELS, 5)
  np.testing.assert_array_equal(weights[:3], median_frequency(LABELS, 3))
  assert (weights[3:] == 0).all()


def test_weights_go_by_name():
  assert class_weights('equal', dataset()).tolist() == [1.0] * 11
  assert class_weights('segnet_camvid', dataset()).tolist() == list(SEGNET_CAMVID)
  found = class_weights('median_frequency', dataset())
  np.testing.assert_array_equal(found, median_frequency(LABELS, 11))


@pytest.mark.parametrize(
  'name, set_name, message',
  [
    ('median', 'camvid', "unknown class weights 'median'; choose from equal, median_f"),
    ('segnet_camvid', 'voc_segmentation', 'not of voc_segmentation: take median_f'),
  ],
)
def test_what_cannot_be_is_said(name, set_name, message):
  with pytest.raises(UserError, match=message):
    class_weights(name, dataset(set_name))
