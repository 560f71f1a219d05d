"""How often predictions stay the same when the image moves.

Two views of the same images are predicted, and the predictions are compared: of a whole
image as they are, of every pixel after the second view's are moved back over the first
one's, where both views see the same. `views` makes flips, turns and shifts;
`shift_protocol` says by how much to shift.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from symjax.errors import UserError
from symjax.symmetry.transformations import Transformation, identity

Predict = Callable[[jax.Array], jax.Array]
Compare = Callable[[jax.Array, jax.Array], jax.Array]


def everywhere(predictions: jax.Array) -> jax.Array:
  """[1, height, width] true: both views see all of the image."""
  return jnp.ones((1, *predictions.shape[1:]), bool)


@dataclasses.dataclass(frozen=True)
class Views:
  """Two views of the same images, and how predictions of one lie over the other's.

  Attributes:
    transform: images [batch, height, width, channels] -> the second view.
    inverse: predictions [batch, height, width] of the second view -> moved back to
      where the first one has them. What is predicted of a whole image has no place,
      and is left as it is.
    valid: predictions -> bool, broadcast to them: the pixels of the first view that
      the second one sees as well.
    reference: images -> the first view; by default the images themselves.
  """

  transform: Transformation
  inverse: Transformation = identity
  valid: Callable[[jax.Array], jax.Array] = everywhere
  reference: Transformation = identity


class Agreement(NamedTuple):
  """On how many predictions two views agree, and of how many.

  Attributes:
    same: [batch] predictions of each image that agree.
    compared: [batch] predictions of each image that both views have: 1, or a number of
      pixels, which may be 0.
  """

  same: jax.Array
  compared: jax.Array

  @property
  def shares(self) -> jax.Array:
    """[batch] `same` over `compared`, NaN where nothing is compared."""
    return self.same / self.compared

  @property
  def pooled(self) -> jax.Array:
    """The share over the predictions of all images together, a scalar.

    Images weigh by what is compared of them, where the mean of `shares` takes them as
    equals; the two differ only if the images differ in that.
    """
    return self.same.sum() / self.compared.sum()


def consistency(
  predict: Predict,
  images: jax.Array,
  views: Views,
  compare: Compare = jnp.equal,
  counted: jax.Array | None = None,
) -> jax.Array:
  """[batch] the share of each image's predictions on which two views agree.

  Of one prediction an image it is 0 or 1, and its mean is the shift consistency of
  Zhang ("Making convolutional networks shift-invariant again", ICML 2019) or the same
  for flips and turns. Of one prediction a pixel it is the share of equal pixels on the
  overlap, as in Table 1 of Alsallakh et al., "On symmetries in convolutional weights".

  Args:
    predict: [batch, height, width, channels] images -> [batch], or [batch, height,
      width] for every pixel: labels, not logits.
    images: what `views` acts on.
    views: such as `views.moved('s')`.
    compare: two arrays of predictions -> whether, or how far from 0 to 1, each pair
      agrees.
    counted: bool, of the predictions' shape: which of the first view's predictions
      count, such as pixels that have a label; None: all that both views see.

  Raises:
    UserError: the predictions of the two views differ in shape, or from `counted`.
  """
  first, second = (predict(view(images)) for view in (views.reference, views.transform))
  return agreement(first, second, views, compare, counted).shares


def agreement(
  first: jax.Array,
  second: jax.Array,
  views: Views,
  compare: Compare = jnp.equal,
  counted: jax.Array | None = None,
) -> Agreement:
  """As `consistency`, of predictions that are there already, in numbers.

  Args:
    first: predictions of `views.reference`, [batch] or [batch, height, width].
    second: predictions of `views.transform`.
    views: that they were made of.
    compare: as for `consistency`.
    counted: likewise.

  Raises:
    UserError: the shapes differ, or are neither of images nor of pixels.
  """
  if first.ndim not in (1, 3):
    raise UserError(
      f'predictions of shape {first.shape}: give one an image, [batch], or one a '
      'pixel, [batch, height, width]'
    )
  back = second if first.ndim == 1 else views.inverse(second)
  if first.shape != back.shape:
    raise UserError(
      f'the two views have predictions of shapes {first.shape} and {back.shape}; '
      'a view and its inverse have to keep the size'
    )
  if counted is not None and counted.shape != first.shape:
    raise UserError(
      f'what counts has shape {counted.shape} for predictions of shape {first.shape}; '
      'give one value each'
    )
  same = compare(first, back)
  wide = jnp.asarray(same, np.promote_types(same.dtype, np.float32))
  valid = jnp.ones(first.shape, bool)
  if first.ndim == 3:
    valid = jnp.broadcast_to(views.valid(first), first.shape)
  if counted is not None:
    valid &= counted
  pixels = tuple(range(1, first.ndim))
  # What only one view sees may hold anything, so it is left out, not multiplied by 0.
  total = jnp.where(valid, wide, 0).sum(pixels)
  return Agreement(total, valid.sum(pixels).astype(wide.dtype))
