"""How the images of a set come to have one size."""

import dataclasses
import functools

from symjax.data.canvas import Canvas
from symjax.data.decoding import Decode, decode_labelled, decode_segmented
from symjax.data.prepared import Labelled
from symjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Sizing:
  """How images come to have one size.

  Attributes:
    size: [height, width] of all of them, in pixels.
    decode: of one example.
    marks: what tells the cache of this sizing from those of others.
  """

  size: tuple[int, int]
  decode: Decode
  marks: tuple[str, ...] = ()


def sizing_of(
  name: str,
  task: Labelled,
  image_size: tuple[int, int] | None,
  shorter_side: int | None,
  center_crop: float = 1.0,
) -> Sizing:
  """Decides how the images of a set come to have one size.

  Args:
    name: of the set, for messages.
    task: what its examples are.
    image_size: as for `symjax.data.load`.
    shorter_side: likewise.
    center_crop: likewise.

  Raises:
    UserError: they vary in size and none is given, or what is given is none.
  """
  height, width, _ = task.shape
  own = None if height is None or width is None else (height, width)
  given = image_size or own
  if given is None:
    raise UserError(
      f'the images of {name} vary in size: give height and width in pixels as '
      'image_size (data.image_size in a config)'
    )
  if min(*given, 1 if shorter_side is None else shorter_side) < 1:
    raise UserError(
      f'images of {given[0]}x{given[1]} pixels, shorter side {shorter_side}, cannot '
      'be: give positive numbers as image_size and shorter_side'
    )
  if task.kind == 'segmentation' and center_crop != 1:
    raise UserError(
      f'data.center_crop={center_crop} is of images with one label; {name} has label '
      'maps, and those show everything'
    )
  if not 0 < center_crop <= 1:
    raise UserError(
      f'data.center_crop={center_crop} is no share of an image; give a number above 0, '
      'and at most 1'
    )
  mark = 'x'.join(map(str, given))
  if task.kind == 'segmentation':
    if given == own and shorter_side is None:
      return Sizing(own, functools.partial(decode_segmented, task=task, canvas=None))
    canvas = Canvas(*given, shorter_side)
    decode = functools.partial(decode_segmented, task=task, canvas=canvas)
    marks = (mark,) if shorter_side is None else (mark, str(shorter_side))
    return Sizing(given, decode, marks)
  if own and center_crop == 1:
    return Sizing(own, functools.partial(decode_labelled, task=task, size=None))
  decode = functools.partial(
    decode_labelled, task=task, size=given, center_crop=center_crop
  )
  return Sizing(given, decode, (mark, f'{center_crop:g}')[: 1 + (center_crop < 1)])
