"""The kinds of consistency that an evaluation reports, by name."""

import dataclasses
from collections.abc import Callable, Sequence

import jax

from symjax.symmetry import Views, shift_protocol, views

SEED = 0  # Of the offsets: the same for every network, so that networks are paired.

# (repeat, places of the images in their split, size of an image) -> views of them.
MakeViews = Callable[[jax.Array, jax.Array, tuple[int, int]], Views]


@dataclasses.dataclass(frozen=True)
class Measure:
  """One kind of consistency.

  Attributes:
    views: makes the views of a batch.
    drawn: whether both views are drawn at random, as `shift_protocol` does. If not, the
      first one is the image itself.
    on_scenes: whether the views are of scenes, larger than an image.
  """

  views: MakeViews
  drawn: bool = False
  on_scenes: bool = False

  @property
  def repeats(self) -> int:
    """How often each image is looked at."""
    return shift_protocol.REPEATS if self.drawn else 1

  @property
  def cluster(self) -> int:
    """How many consecutive images share what is drawn."""
    return shift_protocol.IMAGES_PER_OFFSET if self.drawn else 1


def _moved(element: str) -> Measure:
  return Measure(lambda repeat, places, size: views.moved(element))


def _shifted(kind: Callable[..., Views], on_scenes: bool) -> Measure:
  def make(repeat: jax.Array, places: jax.Array, size: tuple[int, int]) -> Views:
    return kind(*shift_protocol.draw_offsets(SEED, repeat, places, size), size)

  return Measure(make, drawn=True, on_scenes=on_scenes)


FLIP = 'horizontal_flip'
_ELEMENTS = {
  FLIP: 's',
  'vertical_flip': 'sr2',
  'half_turn': 'r2',
  'quarter_turn': 'r',  # Clockwise,
  'three_quarter_turn': 'r3',  # and anticlockwise.
}
MEASURES = {
  **{name: _moved(element) for name, element in _ELEMENTS.items()},
  'crop_shift': _shifted(views.crop_shift, on_scenes=True),
  'circular_shift': _shifted(views.circular_shift, on_scenes=False),
}
_SWAP_SIDES = ('quarter_turn', 'three_quarter_turn')


# Of segmentations, (down, right), in pixels: along each axis the least shift, which no
# map behind a stride can follow, and whole strides of most networks, which all can but
# for their borders. Only forwards, because to compare an image with a shifted one is to
# compare two windows: backwards they exchange their parts.
SHIFTS = ((0, 1), (1, 0), (0, 8), (8, 0), (0, 16), (16, 0))
# Of what a shift vacates: as shown to every network, whatever its own borders are, so
# that networks are compared on the same images.
FILL = 'edge'


def measures_of(size: tuple[int, int]) -> dict[str, Measure]:
  """Those that keep the size of an image, [height, width]."""
  return {name: how for name, how in MEASURES.items() if _keeps_size(name, size)}


def views_of_pixels(
  size: tuple[int, int], shifts: Sequence[tuple[int, int]] = SHIFTS
) -> dict[str, Views]:
  """By what the predictions of pixels are compared: name -> views of an image.

  Those of D4 that keep the size of an image, and shifts, whose names say which. The
  first view is always the image itself.

  Args:
    size: [height, width] of an image.
    shifts: (down, right), in pixels.

  Raises:
    UserError: a shift that leaves nothing in view.
  """
  turned = {
    name: views.moved(element)
    for name, element in _ELEMENTS.items()
    if _keeps_size(name, size)
  }
  return turned | {
    shift_name(shift): views.shifted(shift, size, FILL) for shift in shifts
  }


def shift_name(shift: tuple[int, int]) -> str:
  """Such as 'shift_down_8', 'shift_up_2_left_1' or 'shift_none'."""
  parts = [
    f'{forwards if step > 0 else backwards}_{abs(step)}'
    for step, forwards, backwards in zip(
      shift, ('down', 'right'), ('up', 'left'), strict=True
    )
    if step
  ]
  return '_'.join(['shift', *(parts or ['none'])])


def _keeps_size(name: str, size: tuple[int, int]) -> bool:
  return size[0] == size[1] or name not in _SWAP_SIDES
