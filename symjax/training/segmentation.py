"""What a network is trained for where every pixel has a label."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from symjax.errors import UserError
from symjax.training.confusion import (
  class_accuracies,
  confusion_matrices,
  intersections_over_unions,
  one_hot,
)
from symjax.training.tasks import Batch, Sums, means


@dataclasses.dataclass(frozen=True)
class Segmentation:
  """One label a pixel: weighted cross-entropy, and the mean IoU over classes.

  The loss of a batch is the sum of weight times cross-entropy over its labelled pixels,
  divided by their number: Caffe's normalisation, with which SegNet was trained. The
  weighted mean of PyTorch divides by the sum of the weights instead; without weights
  they are one. A number of pixels makes what is added up over images, batches and
  devices the loss of the whole.

  All metrics are of the pixels of a whole split together, not means over images. A
  class of which the split has no pixel is left out of the means over classes, and its
  entry of `test_iou` is None.

  Attributes:
    class_names: of classes 0, 1, ...
    ignore_label: of pixels that count for nothing; None where there are none.
    class_weights: of the loss, one for each class; None weighs all alike.
    headline: the metric of `summary.json` by which checkpoints are ranked.
    reported: all of them.
  """

  class_names: tuple[str, ...]
  ignore_label: int | None = None
  class_weights: tuple[float, ...] | None = None

  headline: ClassVar[str] = 'test_miou'
  reported: ClassVar[tuple[str, ...]] = (
    'test_miou',
    'test_accuracy',
    'test_class_accuracy',
    'test_iou',
  )

  def __post_init__(self) -> None:
    weights = self.class_weights
    if weights is not None and len(weights) != len(self.class_names):
      raise UserError(
        f'{len(weights)} class weights for {len(self.class_names)} classes; give one '
        'for each'
      )
    for name, weight in zip(self.class_names, weights or (), strict=False):
      if not 0 <= weight < np.inf:
        raise UserError(f'the weight {weight} of class {name} is not 0 or more')

  @property
  def num_classes(self) -> int:
    """Classes, without what is ignored."""
    return len(self.class_names)

  def rank(self, row: Mapping[str, Any]) -> float:
    """The mean IoU."""
    return row[self.headline]

  def losses(self, logits: jax.Array, batch: Batch) -> jax.Array:
    """Sum over the pixels of each image, [batch], in nats, at least float32.

    Args:
      logits: [batch, height, width, classes].
      batch: its `label` is [batch, height, width].
    """
    logits = logits.astype(np.promote_types(logits.dtype, np.float32))
    # Not by index, whose gradient would be scattered pixel after pixel.
    targets = self._one_hot(batch, logits.dtype)
    if self.class_weights is not None:
      weights = jnp.asarray(self.class_weights, logits.dtype)
      targets *= weights[None, None, None, :]
    return optax.softmax_cross_entropy(logits, targets).sum(axis=(1, 2))

  def counts(self, batch: Batch) -> jax.Array:
    """How many labelled pixels each image has, int32 [batch]."""
    return self._labelled(batch).sum(axis=(1, 2), dtype=jnp.int32)

  def predictions(self, logits: jax.Array) -> jax.Array:
    """The most likely class of each pixel, [batch, height, width]."""
    return jnp.argmax(logits, axis=-1)

  def scores(self, logits: jax.Array, batch: Batch) -> dict[str, jax.Array]:
    """How many labelled pixels of each image are right: name -> [batch]."""
    right = self.predictions(logits) == batch['label'].astype(jnp.int32)
    right &= self._labelled(batch)
    return {'accuracy': right.sum(axis=(1, 2), dtype=jnp.float32)}

  def tallies(self, logits: jax.Array, batch: Batch) -> dict[str, jax.Array]:
    """`confusion`, of each image: int32 [batch, classes, classes]."""
    found = confusion_matrices(
      batch['label'], self.predictions(logits), self.num_classes, self.ignore_label
    )
    return {'confusion': found}

  def metrics(self, sums: Sums) -> dict[str, Any]:
    """`loss`, global `accuracy`, mean `class_accuracy`, `miou`, and `iou` by class.

    Raises:
      UserError: not one pixel had a label.
    """
    if not sums['count']:
      raise UserError('not one pixel of the split has a label; look at its label maps')
    ratios = intersections_over_unions(sums['confusion'])
    return {
      **means({name: total for name, total in sums.items() if name != 'confusion'}),
      'class_accuracy': float(np.nanmean(class_accuracies(sums['confusion']))),
      'miou': float(np.nanmean(ratios)),
      'iou': {
        name: None if np.isnan(ratio) else float(ratio)
        for name, ratio in zip(self.class_names, ratios, strict=True)
      },
    }

  def _labelled(self, batch: Batch) -> jax.Array:
    if self.ignore_label is None:
      return jnp.ones(batch['label'].shape, bool)
    return batch['label'] != self.ignore_label

  def _one_hot(self, batch: Batch, dtype: Any) -> jax.Array:
    return one_hot(batch['label'], self.num_classes, self.ignore_label, dtype)
