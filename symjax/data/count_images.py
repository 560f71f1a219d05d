"""Pictures of crowds: heads of many sizes that hide parts of each other.

48x48 RGB, seen from a little above: who is farther away is smaller, higher up, and
hidden by those in front. Of every head at least half is seen, so that the number of
heads can be told from the picture.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = 48
MOST = 9  # Heads.
SEEN = 0.5  # Of every head's area, at least.
RADII = (3.0, 7.5)  # Pixels: half a head's width, far away and near.
_FINER = 4  # Drawn at so many times the size, for smooth edges.
_TRIES = 40  # Places for one head, before the scene is begun anew.
_ASPECT = 1.25  # Height of a head over its width.

Head = tuple[float, float, float]  # x and y of the centre, and radius, in pixels.


def render(rng: np.random.Generator) -> tuple[Image.Image, int]:
  """One picture and the number of its heads.

  Args:
    rng: the only source of chance.

  Returns:
    A 48x48 RGB picture and the count, 0 to 9, all equally likely.
  """
  count = int(rng.integers(MOST + 1))
  picture = _ground(rng)
  pen = ImageDraw.Draw(picture)
  for head in place_heads(rng, count):
    _draw_person(pen, rng, head)
  picture = picture.resize((SIZE, SIZE), Image.Resampling.BOX)
  picture = picture.filter(ImageFilter.BoxBlur(rng.uniform(0, 0.7)))
  static = Image.frombytes('RGB', picture.size, rng.bytes(3 * SIZE * SIZE))
  return Image.blend(picture, static, rng.uniform(0, 0.15)), count


def place_heads(rng: np.random.Generator, count: int) -> list[Head]:
  """Where `count` heads are, from far to near; each as much in sight as `SEEN`."""
  while True:
    heads: list[Head] = []
    for radius in np.sort(rng.uniform(*RADII, count)).tolist():
      placed = _place_one(rng, heads, radius)
      if placed is None:
        break
      heads.append(placed)
    if len(heads) == count:
      return heads


def seen_shares(heads: list[Head]) -> list[float]:
  """Of each head the share of its area that no nearer person hides."""
  grid = (np.arange(SIZE) + 0.5)[None, :], (np.arange(SIZE) + 0.5)[:, None]
  covered = np.zeros((SIZE, SIZE), bool)
  shares = []
  for head in reversed(heads):
    face = _inside(grid, head)
    shares.append(float((face & ~covered).sum() / face.sum()))
    covered |= face | _inside(grid, _shoulders(head))
  return shares[::-1]


def _place_one(
  rng: np.random.Generator, heads: list[Head], radius: float
) -> Head | None:
  """A place where a nearer head leaves enough of the others in sight, if found."""
  near = (radius - RADII[0]) / (RADII[1] - RADII[0])
  for _ in range(_TRIES):
    x = rng.uniform(0.8 * radius, SIZE - 0.8 * radius)
    y = rng.normal(SIZE * (0.3 + 0.35 * near), SIZE * 0.14)
    y = min(max(y, 1.1 * radius), SIZE - 1.1 * radius)
    head = (float(x), float(y), radius)
    if min(seen_shares([*heads, head])) >= SEEN:
      return head
  return None


def _shoulders(head: Head) -> Head:
  """As an ellipse below the head, half as large again."""
  x, y, radius = head
  return x, y + 2.6 * radius, 1.5 * radius


def _inside(grid: tuple[np.ndarray, np.ndarray], head: Head) -> np.ndarray:
  """[SIZE, SIZE] the pixels of an ellipse of the shape of a head."""
  x, y, radius = head
  return (grid[0] - x) ** 2 + ((grid[1] - y) / _ASPECT) ** 2 <= radius**2


def _draw_person(
  pen: ImageDraw.ImageDraw, rng: np.random.Generator, head: Head
) -> None:
  """Shoulders, hair and a face; the face leans and turns a little."""
  x, y, radius = head
  skin = _shade(rng, (224, 172, 138), rng.uniform(0.35, 1.05))
  hair = _shade(rng, (110, 80, 55), rng.uniform(0.2, 1.6))
  clothes = tuple(int(level) for level in rng.integers(30, 220, 3))
  _ellipse(pen, _shoulders(head), clothes)
  _ellipse(pen, head, hair)
  lean = rng.uniform(-0.15, 0.15) * radius
  _ellipse(pen, (x + lean, y + 0.28 * radius, 0.75 * radius), skin)
  turn = lean + rng.uniform(-0.2, 0.2) * radius
  for side in (-0.32, 0.32):
    eye = (x + turn + side * radius, y + 0.2 * radius, 0.11 * radius)
    _ellipse(pen, eye, (30, 25, 25))


def _ellipse(pen: ImageDraw.ImageDraw, head: Head, color: tuple[int, ...]) -> None:
  x, y, radius = head
  height = _ASPECT * radius
  box = [_FINER * edge for edge in (x - radius, y - height, x + radius, y + height)]
  pen.ellipse(box, fill=color)


def _shade(
  rng: np.random.Generator, color: tuple[int, int, int], light: float
) -> tuple[int, ...]:
  """The colour, darker or lighter, and a little off."""
  levels = np.array(color) * light + rng.normal(0, 8, 3)
  return tuple(int(level) for level in levels.clip(0, 255))


def _ground(rng: np.random.Generator) -> Image.Image:
  """Coarse blotches of two colours."""
  cells = int(rng.integers(1, 7))
  side = SIZE * _FINER
  mixture = Image.frombytes('L', (cells, cells), rng.bytes(cells * cells))
  mixture = mixture.resize((side, side), Image.Resampling.BICUBIC)
  colors = [tuple(int(level) for level in rng.integers(20, 235, 3)) for _ in range(2)]
  picture = Image.new('RGB', (side, side), colors[0])
  picture.paste(colors[1], mask=mixture)
  return picture
