import numpy as np
import pytest

from symjax.data import digit_images
from symjax.data.rendered_digits import rendered_digit
from symjax.errors import UserError


def drawn(split, indices):
  pictures, labels = zip(*(rendered_digit(split, i) for i in indices), strict=True)
  return np.stack([np.asarray(picture) for picture in pictures]), np.array(labels)


@pytest.fixture(scope='module')
def sample():
  return drawn('train', range(2000))


def test_a_picture_depends_on_nothing_but_split_and_index():
  pictures, labels = drawn('train', range(5))
  drawn('test', range(3))
  again, same_labels = drawn('train', reversed(range(5)))
  assert (again[::-1] == pictures).all()
  assert (same_labels[::-1] == labels).all()


def test_no_two_pictures_are_alike(sample):
  pictures = [*sample[0], *drawn('test', range(100))[0]]
  assert len({picture.tobytes() for picture in pictures}) == 2100


def test_pictures_are_small_and_coloured(sample):
  pictures, _ = sample
  assert pictures.shape == (2000, 32, 32, 3)
  assert pictures.dtype == np.uint8
  assert (pictures.std(axis=(1, 2, 3)) > 4).all()


def test_labels_are_about_uniform(sample):
  counts = np.bincount(sample[1], minlength=10)
  assert len(counts) == 10
  # Six standard deviations of a count of 200.
  assert abs(counts - 200).max() < 6 * np.sqrt(200 * 0.9)


def test_the_ground_differs_from_the_digit_by_the_least_contrast():
  rng = np.random.default_rng(0)
  for _ in range(200):
    digit, *grounds = digit_images._readable_lumas(rng)
    gaps = np.array(grounds) - digit
    assert (gaps >= 40).all() or (gaps <= -40).all()
    assert 20 <= min(digit, *grounds) and max(digit, *grounds) <= 235


@pytest.mark.parametrize('font', digit_images.FONTS)
def test_the_digits_of_a_font_differ(font):
  glyphs = [np.asarray(digit_images._glyph(font, digit), float) for digit in range(10)]
  for digit, glyph in enumerate(glyphs):
    gaps = [abs(glyph - other).mean() for other in glyphs]
    assert np.argsort(gaps)[0] == digit
    assert np.sort(gaps)[1] > 10


def test_the_label_is_the_digit_at_the_centre(sample):
  """Stencils of the mean digits tell the label far better than chance."""
  pictures, labels = sample
  ink = pictures.mean(-1)
  ink = abs(ink - np.median(ink, axis=(1, 2), keepdims=True)).reshape(len(ink), -1)
  ink /= np.linalg.norm(ink, axis=1, keepdims=True)
  stencils = np.stack(
    [ink[:1500][labels[:1500] == digit].mean(0) for digit in range(10)]
  )
  stencils -= stencils.mean(0)
  hits = (ink[1500:] @ stencils.T).argmax(1) == labels[1500:]
  assert hits.mean() > 0.25


def test_a_missing_font_is_named(monkeypatch):
  monkeypatch.setattr(digit_images, 'FONTS', ('NoSuchFont',))
  with pytest.raises(UserError, match='NoSuchFont.ttf'):
    rendered_digit('train', 0)


def test_missing_matplotlib_is_named(monkeypatch):
  monkeypatch.setattr(digit_images.importlib.util, 'find_spec', lambda name: None)
  digit_images._font.cache_clear()
  digit_images._glyph.cache_clear()
  with pytest.raises(UserError, match='pip install matplotlib'):
    rendered_digit('train', 0)
