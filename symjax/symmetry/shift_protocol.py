"""By how much images are shifted: Zhang's protocol, at any size.

Zhang ("Making convolutional networks shift-invariant again", ICML 2019) takes images
of 256x256 pixels, draws two offsets for every batch of 8, each uniform on {0 ... 31}^2,
gives the network the windows of 224x224 there, and repeats that five times. The share
of pairs with one label is the shift consistency. Offset 32, although it would fit, is
never drawn.

For windows of n pixels the scene is n + m pixels a side, m = round(n / 7) and at least
2, and offsets are uniform on {0 ... m - 1}^2: 224 has 256 and 0 ... 31, 32 has 37 and
0 ... 4. Two offsets are equal once in m^2, and agree then whatever the network.
"""

import jax
import jax.numpy as jnp

REPEATS = 5
IMAGES_PER_OFFSET = 8  # That share what was drawn: a batch, in the original.


def shift_margins(size: tuple[int, int]) -> tuple[int, int]:
  """By how much a scene is larger than a window of `size`, m of both axes."""
  return _margin(size[0]), _margin(size[1])


def draw_offsets(
  seed: int, repeat: jax.typing.ArrayLike, places: jax.Array, size: tuple[int, int]
) -> tuple[jax.Array, jax.Array]:
  """The two offsets of every image, int32 [batch, 2] each: (down, right).

  They are a function of the seed, the repeat and the image's place in its split alone,
  whatever the batches in which it is looked at.

  Args:
    seed: of the draws.
    repeat: which of the repeats, from 0.
    places: int [batch]; 8 consecutive images share their offsets.
    size: [height, width] of the windows.
  """
  margins = jnp.asarray(shift_margins(size), jnp.int32)[None, :]
  key = jax.random.fold_in(jax.random.key(seed), jnp.asarray(repeat, jnp.uint32))

  def draw(group: jax.Array) -> jax.Array:
    return jax.random.randint(jax.random.fold_in(key, group), (2, 2), 0, margins)

  both = jax.vmap(draw)(places // IMAGES_PER_OFFSET)
  return both[:, 0], both[:, 1]


def diagonal_offsets(size: tuple[int, int]) -> list[tuple[int, int]]:
  """Offsets from one corner of the scene to the other, m + 1 of them on a square.

  At 224 pixels these are the 33 of Zhang's `validate_diagonal`. Off the square the
  steps are those of the larger margin, and the other axis keeps pace.
  """
  margins = shift_margins(size)
  steps = max(margins)
  return [
    (round(i * margins[0] / steps), round(i * margins[1] / steps))
    for i in range(steps + 1)
  ]


def _margin(side: int) -> int:
  return max(2, round(side / 7))
