"""The kinds of consistency that an evaluation reports, by name."""

import dataclasses
from collections.abc import Callable

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


MEASURES = {
  'horizontal_flip': _moved('s'),
  'vertical_flip': _moved('sr2'),
  'half_turn': _moved('r2'),
  'quarter_turn': _moved('r'),  # Clockwise,
  'three_quarter_turn': _moved('r3'),  # and anticlockwise.
  'crop_shift': _shifted(views.crop_shift, on_scenes=True),
  'circular_shift': _shifted(views.circular_shift, on_scenes=False),
}
_SWAP_SIDES = ('quarter_turn', 'three_quarter_turn')


def measures_of(size: tuple[int, int]) -> dict[str, Measure]:
  """Those that keep the size of an image, [height, width]."""
  swapped = _SWAP_SIDES if size[0] != size[1] else ()
  return {name: how for name, how in MEASURES.items() if name not in swapped}
