"""What a network is trained for where a whole image has one label."""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from symjax.statistics import mean_interval, share_interval

Batch = Mapping[str, jax.Array]
Sums = Mapping[str, Any]


class OfImages(abc.ABC):
  """What tasks share that have one label an image: every image counts once.

  Attributes:
    headline: the metric of `summary.json`.
    unit: its, in words.
    interval: [n] scores of images -> the confidence interval of their mean.
    smooth_score_name: what `smooth_score` is, in words.
  """

  headline: str
  unit: str
  interval: Callable[[Sequence[float]], tuple[float, float]]
  smooth_score_name: str

  @abc.abstractmethod
  def losses(self, logits: jax.Array, batch: Batch) -> jax.Array:
    """Of each image, [batch]."""

  @abc.abstractmethod
  def predictions(self, logits: jax.Array) -> jax.Array:
    """Of each image, [batch]: what is compared between two views."""

  @abc.abstractmethod
  def scores(self, logits: jax.Array, batch: Batch) -> dict[str, jax.Array]:
    """Name of a metric -> its value for each image, [batch]."""

  @abc.abstractmethod
  def smooth_score(self, logits: jax.Array, batch: Batch) -> jax.Array:
    """[batch]: how right an output is, without the steps of a decision."""

  @property
  def reported(self) -> tuple[str, ...]:
    """The metrics of `summary.json`: the headline alone."""
    return (self.headline,)

  def rank(self, row: Mapping[str, Any]) -> float:
    """The headline, of which more is better."""
    return row[self.headline]

  def counts(self, batch: Batch) -> jax.Array:
    """1 for each image, int32 [batch]."""
    return jnp.ones(len(batch['label']), jnp.int32)

  def tallies(self, logits: jax.Array, batch: Batch) -> dict[str, jax.Array]:
    """Nothing: all metrics are means."""
    del logits, batch
    return {}

  def metrics(self, sums: Sums) -> dict[str, Any]:
    """Means over images."""
    return means(sums)


def means(sums: Sums) -> dict[str, float]:
  """Every sum over `count`."""
  return {
    name: float(total / sums['count'])
    for name, total in sums.items()
    if name != 'count'
  }


class Classification(OfImages):
  """One label an image: softmax cross-entropy, and accuracy.

  Attributes:
    headline: the metric of `summary.json`.
    unit: its, in words.
    interval: [n] scores of images -> the confidence interval of their mean.
    smooth_score_name: what `smooth_score` is, in words.
  """

  headline = 'test_accuracy'
  unit = 'share of test images'
  interval = staticmethod(share_interval)
  smooth_score_name = 'probability of the true class'

  def losses(self, logits: jax.Array, batch: Batch) -> jax.Array:
    """Cross-entropy of each image, [batch], in nats, at least float32."""
    logits = logits.astype(np.promote_types(logits.dtype, np.float32))
    return optax.softmax_cross_entropy_with_integer_labels(logits, batch['label'])

  def predictions(self, logits: jax.Array) -> jax.Array:
    """The most likely label of each image, [batch]."""
    return jnp.argmax(logits, axis=-1)

  def scores(self, logits: jax.Array, batch: Batch) -> dict[str, jax.Array]:
    """Name of a metric -> its value for each image, [batch]."""
    return {
      'accuracy': (self.predictions(logits) == batch['label']).astype(jnp.float32)
    }

  def smooth_score(self, logits: jax.Array, batch: Batch) -> jax.Array:
    """The probability of each image's label, [batch], at least float32."""
    return jnp.exp(-self.losses(logits, batch))


class Counting(OfImages):
  """How many things an image shows: one number, Huber's loss, the absolute error.

  Huber's loss (Ann. Math. Stat. 35, 1964) is half the square of an error below 1, and
  grows linearly beyond: an untrained network, which says 0, has no large gradients.

  Attributes:
    headline: the metric of `summary.json`.
    unit: its, in words.
    interval: [n] scores of images -> the confidence interval of their mean.
    smooth_score_name: what `smooth_score` is, in words.
  """

  headline = 'test_error'
  unit = 'mean absolute error of the count'
  interval = staticmethod(mean_interval)
  smooth_score_name = 'count minus the true one'

  def rank(self, row: Mapping[str, Any]) -> float:
    """Minus the error."""
    return -row[self.headline]

  def losses(self, logits: jax.Array, batch: Batch) -> jax.Array:
    """Huber's loss of each image, [batch], at least float32.

    Args:
      logits: [batch, 1], the counts; not rounded.
      batch: its `label` holds the true counts.
    """
    return optax.huber_loss(self.smooth_score(logits, batch))

  def predictions(self, logits: jax.Array) -> jax.Array:
    """The nearest whole number for each image, [batch], and 0 for one below it."""
    return jnp.maximum(jnp.rint(logits[:, 0]), 0).astype(jnp.int32)

  def scores(self, logits: jax.Array, batch: Batch) -> dict[str, jax.Array]:
    """Name of a metric -> its value for each image, [batch]: of the count unrounded."""
    return {'error': jnp.abs(self.smooth_score(logits, batch))}

  def smooth_score(self, logits: jax.Array, batch: Batch) -> jax.Array:
    """By how much each image is counted too high, [batch], at least float32."""
    counts = logits[:, 0].astype(np.promote_types(logits.dtype, np.float32))
    return counts - batch['label'].astype(counts.dtype)


# Kind of a data set whose images have one label -> what a network is trained for on it.
TASKS: Mapping[str, type[Any]] = {
  'classification': Classification,
  'counting': Counting,
}
