import numpy as np
import pytest
from PIL import Image

from symjax.data.canvas import Canvas
from symjax.errors import UserError


@pytest.mark.parametrize(
  'shape, size',
  [
    ((480, 640), (520, 693)),  # Down from 693.33, as torchvision does.
    ((640, 480), (693, 520)),
    ((640, 427), (704, 469)),  # 520 would be 779 long.
    ((100, 100), (520, 520)),
    ((640, 3), (704, 3)),
    ((64000, 3), (704, 1)),
  ],
)
def test_the_shorter_side_has_its_length_unless_the_longer_is_too_long(shape, size):
  assert Canvas(704, 704, 520).size(*shape) == size


def test_an_image_of_the_canvas_s_shape_fills_it():
  assert Canvas(90, 120).size(180, 240) == (90, 120)
  assert Canvas(90, 120).size(60, 80) == (90, 120)


def place(canvas, ignore_label=255):
  labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
  image = Image.fromarray((20 * labels)[..., None].repeat(3, axis=2))
  return canvas.place(image, Image.fromarray(labels), ignore_label)


def test_what_fits_is_kept_to_the_bit_and_the_rest_is_ignored():
  image, labels = place(Canvas(5, 4))
  expected = np.arange(12).reshape(3, 4)
  assert (labels[:3] == expected).all() and (labels[3:] == 255).all()
  assert (image[:3] == 20 * expected[..., None]).all() and not image[3:].any()


def test_without_a_label_to_ignore_nothing_may_be_left_empty():
  assert (place(Canvas(3, 4), None)[1] == np.arange(12).reshape(3, 4)).all()
  with pytest.raises(UserError, match='an image of 3x4 pixels leaves a part of 3x5'):
    place(Canvas(3, 5), None)
