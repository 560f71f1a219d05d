"""Pictures of house-number digits, drawn with the fonts that matplotlib ships.

A cousin of SVHN: 32x32 RGB, one digit near the centre, often with parts of its
neighbours beside it, in any two colours that differ enough to be read.
"""

import functools
import importlib.util
import math
import pathlib

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from symjax.errors import UserError

SIZE = 32
# Upright text fonts, so that no digit is slanted by its font.
FONTS = (
  'DejaVuSans',
  'DejaVuSans-Bold',
  'DejaVuSansMono',
  'DejaVuSansMono-Bold',
  'DejaVuSerif',
  'DejaVuSerif-Bold',
  'STIXGeneral',
  'STIXGeneralBol',
  'cmb10',
  'cmr10',
  'cmss10',
  'cmtt10',
)
_FONT_POINTS = 36  # Digits about 27 pixels high, the largest that are shown.
_MIN_CONTRAST = 40  # Of 255, in luma, between digit and background.


def render(rng: np.random.Generator) -> tuple[Image.Image, int]:
  """One picture and the digit at its centre.

  Args:
    rng: the only source of chance.

  Returns:
    A 32x32 RGB picture and its label, 0 to 9, all equally likely.

  Raises:
    UserError: matplotlib, or one of its fonts, is not installed.
  """
  label = int(rng.integers(10))
  ink = _ink(rng, label)
  digit_luma, *ground_lumas = _readable_lumas(rng)
  picture = _ground(rng, *ground_lumas)
  if rng.random() < 0.3:
    shadow = ImageChops.offset(ink, int(rng.integers(-1, 2)), int(rng.integers(1, 3)))
    picture.paste(_color(rng, rng.uniform(0, 255)), mask=shadow)
  picture.paste(_color(rng, digit_luma), mask=ink)
  picture = picture.filter(ImageFilter.BoxBlur(rng.uniform(0, 1.5)))
  static = Image.frombytes('RGB', picture.size, rng.bytes(3 * SIZE * SIZE))
  return Image.blend(picture, static, rng.uniform(0, 0.24)), label


def _ink(rng: np.random.Generator, label: int) -> Image.Image:
  """How much ink covers each pixel: the digit and, maybe, its neighbours."""
  font = FONTS[rng.integers(len(FONTS))]
  digit = _glyph(font, label)
  pitch = round(digit.width * rng.uniform(1.0, 1.25))
  strip = Image.new('L', (2 * pitch + digit.width, digit.height))
  strip.paste(digit, (pitch, 0))
  for place in (0, 2 * pitch):
    if rng.random() < 0.5:
      strip.paste(_glyph(font, int(rng.integers(10))), (place, 0))

  # The transform takes points of the picture to points of the strip of digits.
  vertical = strip.height / rng.uniform(13, 27)
  horizontal = vertical * rng.uniform(0.85, 1.25)
  angle, shear = math.radians(rng.normal(0, 7)), rng.normal(0, 0.15)
  cos, sin = math.cos(angle), math.sin(angle)
  a, b = horizontal * (cos + shear * sin), horizontal * (shear * cos - sin)
  d, e = vertical * sin, vertical * cos
  x, y = SIZE / 2 + rng.uniform(-3, 3), SIZE / 2 + rng.uniform(-3, 3)
  c, f = strip.width / 2 - a * x - b * y, strip.height / 2 - d * x - e * y
  return strip.transform(
    (SIZE, SIZE), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
  )


@functools.cache
def _glyph(font: str, digit: int) -> Image.Image:
  """One digit, white on black; all digits of a font have the same size."""
  face = _font(font)
  _, top, _, bottom = face.getbbox('0')
  image = Image.new('L', (round(face.getlength('0')), round(bottom - top)))
  ImageDraw.Draw(image).text((0, -top), str(digit), fill=255, font=face)
  return image


@functools.cache
def _font(name: str) -> ImageFont.FreeTypeFont:
  # Finding the package is enough: importing matplotlib would take a second.
  found = importlib.util.find_spec('matplotlib')
  if found is None or not found.submodule_search_locations:
    raise UserError(
      'the rendered digits need the fonts of matplotlib, which is not installed: '
      'pip install matplotlib'
    )
  folder = pathlib.Path(found.submodule_search_locations[0], 'mpl-data/fonts/ttf')
  path = folder / f'{name}.ttf'
  if not path.exists():
    raise UserError(
      f'matplotlib lacks the font {path}: reinstall it with '
      'pip install --force-reinstall matplotlib'
    )
  return ImageFont.truetype(path, _FONT_POINTS)


def _readable_lumas(rng: np.random.Generator) -> list[float]:
  """Grey levels of the digit and of two grounds that it stands out from."""
  digit = rng.uniform(20, 235 - _MIN_CONTRAST)
  lumas = [digit, *rng.uniform(digit + _MIN_CONTRAST, 235, 2)]
  return lumas if rng.random() < 0.5 else [255 - luma for luma in lumas]


def _color(rng: np.random.Generator, luma: float) -> tuple[int, int, int]:
  """A colour of this luma, as far as the RGB cube holds one."""
  red, green, blue = rng.normal(0, 20, 3).tolist()
  grey = luma - (0.299 * red + 0.587 * green + 0.114 * blue)
  return _byte(grey + red), _byte(grey + green), _byte(grey + blue)


def _byte(level: float) -> int:
  return round(min(max(level, 0), 255))


def _ground(rng: np.random.Generator, first: float, second: float) -> Image.Image:
  """Two colours mixed: evenly (1 cell), shaded (2) or in blotches (up to 6)."""
  cells = int(rng.integers(1, 7))
  mixture = Image.frombytes('L', (cells, cells), rng.bytes(cells * cells))
  mixture = mixture.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
  picture = Image.new('RGB', (SIZE, SIZE), _color(rng, first))
  picture.paste(_color(rng, second), mask=mixture)
  return picture
