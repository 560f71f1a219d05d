"""Which kernels are taken for the first layer's, and how they are laid out."""

import numpy as np
import pytest

from symjax.experiments.filters import first_filters
from symjax.figures import first_filters as draw


def drawn(*shape):
  return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_the_first_convolution_of_the_image_comes_before_dense_layers():
  """Inception's second head sorts before its stem, but does not see the image."""
  params = {
    'AuxLogits': {'conv1': {'kernel': drawn(5, 5, 8, 4)}},
    'classifier_0': {'kernel': drawn(49, 8), 'bias': drawn(8)},
    'features_10': {'kernel': drawn(3, 3, 5, 4)},
    'features_2': {'kernel': drawn(3, 5, 2, 4)},
  }
  layer, rows = first_filters(params, channels=2)
  kernel = params['features_2']['kernel']
  assert layer == 'features_2' and list(rows) == ['']
  for feature, channel in np.ndindex(4, 2):
    np.testing.assert_array_equal(
      rows[''][feature, channel], kernel[:, :, channel, feature]
    )


def test_local_kernels_are_shown_at_five_positions():
  kernel = drawn(8, 4, 3, 3, 2, 5)
  layer, rows = first_filters({'a': {'b': {'kernel': kernel}}}, channels=2)
  places = [(0, 0), (2, 1), (4, 2), (4, 3), (6, 3)]
  assert layer == 'a/b'
  assert list(rows) == [f'row {row}, column {column}' for row, column in places]
  for row, (down, right) in zip(rows.values(), places, strict=True):
    np.testing.assert_array_equal(row[4, 1], kernel[down, right, :, :, 1, 4])


def test_dense_units_are_images_in_the_order_that_a_map_is_flattened():
  """A unit whose weights are an image sees that image, and no other one more."""
  images = drawn(6, 5, 5, 3)
  kernel = images.reshape(6, -1).T
  layer, rows = first_filters({'dense': {'kernel': kernel}}, channels=3)
  assert layer == 'dense'
  np.testing.assert_array_equal(rows[''], images.transpose(0, 3, 1, 2))


@pytest.mark.parametrize('kernel', [drawn(50, 4), drawn(3, 4, 5)])
def test_what_is_no_image_is_not_drawn(tmp_path, kernel):
  layer, rows = first_filters({'dense': {'kernel': kernel}}, channels=3)
  assert (layer, rows) == ('', {})
  draw(rows, tmp_path / 'filters.png', 'Nothing.')
  assert (tmp_path / 'filters.png').read_bytes().startswith(b'\x89PNG')
