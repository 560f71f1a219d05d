"""What a network is trained for: losses and metrics of its outputs."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax

from symjax.statistics import share_interval

Batch = Mapping[str, jax.Array]


class Classification:
  """One label an image: softmax cross-entropy, and accuracy.

  Attributes:
    headline: the metric of `summary.json`; larger is better.
    interval: [n] scores of images -> the confidence interval of their mean.
    smooth_score_name: what `smooth_score` is, in words.
  """

  headline = 'test_accuracy'
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
