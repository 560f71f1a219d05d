"""Confusion matrices of label maps, and the metrics that are made of them."""

import jax
import jax.numpy as jnp
import numpy as np


def confusion_matrices(
  labels: jax.Array,
  predictions: jax.Array,
  num_classes: int,
  ignore_label: int | None = None,
) -> jax.Array:
  """How many pixels of each class each image has, by what was predicted.

  Args:
    labels: integers [batch, height, width].
    predictions: likewise, in 0 ... num_classes - 1.
    num_classes: without the one that is ignored.
    ignore_label: of pixels that count for nothing.

  Returns:
    int32 [batch, num_classes, num_classes]; rows are true classes, columns predicted
    ones. They add up over images, also in whatever parts a split comes.
  """
  shape = (len(labels), -1)
  truth = one_hot(labels, num_classes, ignore_label, jnp.float32)
  guess = one_hot(predictions, num_classes, None, jnp.float32)
  # A product of matrices, because scattering into bins is serial on most devices. Sums
  # of ones are exact in float32 up to 2^24 pixels an image, in any precision of it.
  found = jnp.einsum(
    'bpt,bpg->btg',
    truth.reshape(*shape, num_classes),
    guess.reshape(*shape, num_classes),
    preferred_element_type=jnp.float32,
  )
  return found.astype(jnp.int32)


def one_hot(
  labels: jax.Array, num_classes: int, ignore_label: int | None, dtype: jnp.dtype
) -> jax.Array:
  """[..., num_classes], 1 at the class of a label; all 0 for one that is ignored."""
  found = jax.nn.one_hot(labels, num_classes, dtype=dtype)
  if ignore_label is None:
    return found
  return jnp.where((labels == ignore_label)[..., None], jnp.zeros((), dtype), found)


def class_accuracies(confusion: np.ndarray) -> np.ndarray:
  """Of each class, the share of its pixels that are predicted to be of it.

  Args:
    confusion: [..., classes, classes], counts or sums of such.

  Returns:
    float64 [..., classes]; NaN for a class without a pixel.
  """
  confusion = np.asarray(confusion, np.float64)
  return _ratio(_hits(confusion), confusion.sum(axis=-1))


def intersections_over_unions(confusion: np.ndarray) -> np.ndarray:
  """Of each class, the pixels that are right over those true or predicted (Jaccard).

  A class without a true pixel has no ratio, even where it is predicted: the mean over
  classes is then one over those that the images show, and what was falsely predicted
  counts against the classes that were missed.

  Args:
    confusion: [..., classes, classes], counts or sums of such.

  Returns:
    float64 [..., classes]; NaN for a class without a true pixel.
  """
  confusion = np.asarray(confusion, np.float64)
  hits, true = _hits(confusion), confusion.sum(axis=-1)
  union = true + confusion.sum(axis=-2) - hits
  return _ratio(hits, np.where(true > 0, union, 0.0))


def _hits(confusion: np.ndarray) -> np.ndarray:
  return np.diagonal(confusion, axis1=-2, axis2=-1)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
  return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
