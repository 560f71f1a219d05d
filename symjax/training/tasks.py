"""What a network is trained for: losses and metrics of its outputs."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax

Batch = Mapping[str, jax.Array]


class Classification:
  """One label an image: softmax cross-entropy, and accuracy.

  Attributes:
    headline: the metric of `summary.json`; larger is better.
  """

  headline = 'test_accuracy'

  def losses(self, logits: jax.Array, batch: Batch) -> jax.Array:
    """Cross-entropy of each image, [batch], in nats, at least float32."""
    logits = logits.astype(np.promote_types(logits.dtype, np.float32))
    return optax.softmax_cross_entropy_with_integer_labels(logits, batch['label'])

  def scores(self, logits: jax.Array, batch: Batch) -> dict[str, jax.Array]:
    """Name of a metric -> its value for each image, [batch]."""
    return {
      'accuracy': (jnp.argmax(logits, axis=-1) == batch['label']).astype(jnp.float32)
    }
