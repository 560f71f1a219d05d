"""Spatially balanced pooling: a random one of the grids a strided window can take.

Alsallakh et al., "Mind the pool: convolutional neural networks can overfit input size"
(ICLR 2023). A window at stride s leaves u padded pixels of an axis unread, its slack,
always at the high end. It could as well begin r pixels later, for any r up to u, with
as many positions: the low padding is then p - r (pixels are cropped where that is
negative) and the high one p' - (u - r). Each call in training draws one r. Without
slack there is nothing to draw.
"""

import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from symjax.nn.padding import partial_ratio
from symjax.nn.policy import ConvPolicy
from symjax.nn.window import Window

# Ends of the vertical and the horizontal axis that lose their slack, as phases;
# neighbours in this order are opposite corners, so that their drifts cancel.
CORNERS = ((0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0))

# A shift r of a window, int32 [2]: (vertical, horizontal) pixels.
Shift = jax.Array


def sampling_phase(
  module: nn.Module, policy: ConvPolicy, index: int, train: bool
) -> jax.Array | None:
  """Where the strided layers of a block begin, to be handed to all of them.

  A layer with slack u shifts its window by floor(t (u + 1)) of a phase t, so that
  layers side by side which have the same slack, such as the two branches of a residual
  block, stay aligned. All examples and all devices share it.

  Args:
    module: that calls this in its `__call__`; it draws from the rng `phase`.
    policy: of the block.
    index: of the block among those with strides, from 0.
    train: whether to draw.

  Returns:
    [2] phase in [0, 1], (vertical, horizontal). None where the layers need none: under
    all policies but 'balanced', and in their evaluation but 'alternate'.
  """
  if policy.downsampling != 'balanced':
    return None
  if train:
    return jax.random.uniform(module.make_rng('phase'), (2,))
  if policy.balanced_evaluation == 'alternate':
    return jnp.array(CORNERS[index % len(CORNERS)], jnp.float32)
  return None


def shifts(
  policy: ConvPolicy, slack: tuple[int, int], phase: jax.Array | None
) -> Sequence[Shift]:
  """The shifts of a window over whose results a layer takes the mean.

  Args:
    policy: of the layer.
    slack: of its window on this map, (vertical, horizontal).
    phase: from `sampling_phase`.

  Returns:
    One shift for a given phase, all under 'average'; none where the window stays.
  """
  if policy.downsampling != 'balanced' or slack == (0, 0):
    return ()
  if phase is not None:
    room = jnp.array(slack, jnp.int32)
    drawn = jnp.floor(phase * (room + 1).astype(phase.dtype)).astype(jnp.int32)
    return (jnp.minimum(drawn, room),)  # A phase of 1 is the high end.
  if policy.balanced_evaluation == 'average':
    places = itertools.product(*(range(u + 1) for u in slack))
    return tuple(jnp.array(place, jnp.int32) for place in places)
  return ()


def crop(padded: jax.Array, slack: tuple[int, int], shift: Shift) -> jax.Array:
  """The part of a padded map that the shifted window reads, end to end.

  Args:
    padded: [batch, height, width, channels], with the whole border.
    slack: of the window, (vertical, horizontal).
    shift: [2] up to the slack.

  Returns:
    [batch, height - slack, width - slack, channels].
  """
  batch, height, width, channels = padded.shape
  zero = jnp.zeros((), jnp.int32)
  return lax.dynamic_slice(
    padded,
    (zero, shift[0], shift[1], zero),
    (batch, height - slack[0], width - slack[1], channels),
  )


def mean_over(shifts: Sequence[Shift], run: Callable[[Shift], jax.Array]) -> jax.Array:
  """The mean of what a layer returns for each of its shifts."""
  first, *others = (run(shift) for shift in shifts)
  return sum(others, start=first) / len(shifts)


def shifted_ratio(window: Window, size: tuple[int, int], shift: Shift) -> jax.Array:
  """`symjax.nn.padding.partial_ratio` of the shifted window, whose shift is traced.

  Args:
    window: on this map.
    size: [height, width] of the map before padding.
    shift: [2] up to the slack.

  Returns:
    [output height, output width] float32.
  """
  down, across = window.slack(size)
  table = np.array(
    [
      [partial_ratio(window.shifted(size, (r, q)), size) for q in range(across + 1)]
      for r in range(down + 1)
    ],
    np.float32,
  )
  return jnp.asarray(table)[shift[0], shift[1]]
