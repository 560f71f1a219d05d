"""One step of training and one of evaluation: pure, jitted over a device mesh."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from symjax.training.averages import update_averages
from symjax.training.images import Normalization
from symjax.training.microbatches import in_microbatches, own_key
from symjax.training.rematerialization import rematerialize as rematerialized
from symjax.training.state import TrainState
from symjax.training.tasks import Batch, Sums

Metrics = dict[str, jax.Array]


class Task(Protocol):
  """Losses and metrics of a network's outputs.

  All that it says of an example adds up over whatever has a label in it, the image or
  each of its pixels, and so over the examples of a batch, of devices and of a split.

  Attributes:
    headline: the metric of `summary.json` by which runs are compared.
    reported: all metrics of `summary.json`, the headline first.
  """

  @property
  def headline(self) -> str:
    """As above."""
    ...

  @property
  def reported(self) -> tuple[str, ...]:
    """As above."""
    ...

  def rank(self, row: Mapping[str, Any]) -> float:
    """An evaluation's numbers as one: the larger, the better."""
    ...

  def losses(self, logits: jax.Array, batch: Batch) -> jax.Array:
    """Floats [batch]."""
    ...

  def counts(self, batch: Batch) -> jax.Array:
    """int32 [batch]: how many labels count. The loss is the sum of losses over it."""
    ...

  def scores(self, logits: jax.Array, batch: Batch) -> dict[str, jax.Array]:
    """Name -> floats [batch]: each is a metric when divided by the count."""
    ...

  def tallies(self, logits: jax.Array, batch: Batch) -> dict[str, jax.Array]:
    """Name -> [batch, ...]: what `metrics` needs that the scores do not say."""
    ...

  def metrics(self, sums: Sums) -> dict[str, Any]:
    """Metrics of a split, from the sums of `loss`, `count`, scores and tallies."""
    ...

  def predictions(self, logits: jax.Array) -> jax.Array:
    """[batch], or [batch, height, width]: what is compared between two views."""
    ...


# (key, uint8 images [batch, height, width, channels], labels) -> both, augmented.
Augmentation = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


def make_train_step(
  model: nn.Module,
  optimizer: optax.GradientTransformation,
  task: Task,
  normalization: Normalization,
  augmentation: Augmentation,
  penalty: Callable[[Any], jax.Array] | None = None,
  auxiliary_weight: float = 0.0,
  microbatches: int = 1,
  rematerialize: bool = False,
  ema_decay: float = 0.0,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
  """A pure (state, batch) -> (state, metrics); jit it over a mesh with `devices.jit`.

  Under jit the batch is the global one, however many devices hold it: BatchNorm's
  statistics and the loss are means over all of it. Randomness is keyed by
  (the state's seed, step, index in the global batch). In microbatches the loss and its
  gradient are still those of the whole batch; what the network does with several
  examples at once, BatchNorm's statistics and what it draws, is of a microbatch: see
  `in_microbatches`.

  Args:
    model: called on normalised images with `train`.
    optimizer: of the parameters.
    task: losses and metrics.
    normalization: of uint8 images.
    augmentation: of uint8 images and their labels; such as
      `symjax.training.images.Augmentation`.
    penalty: a scalar of the parameters that is added to the loss.
    auxiliary_weight: times the loss of each `auxiliary_logits` that the model sows
      into `intermediates`; the sum is added to the loss.
    microbatches: parts in which the batch is taken, one after another.
    rematerialize: whether the backward pass computes cheap activations again instead
      of keeping them.
    ema_decay: of the state's averages, per step; 0 leaves them alone.

  Returns:
    The step. Its metrics are means over the labels of the global batch before the
    update: `train_loss`, one `train_<score>` for each of the task's, `penalty` and
    `auxiliary_loss` (not yet weighted) where there are such, and `gradient_norm`, the
    norm of the gradient of all that is minimised, before the optimiser may clip it.
  """

  def forward(variables: Any, images: jax.Array, rngs: Any) -> tuple[Any, Any]:
    found: tuple[Any, Any] = model.apply(
      variables,
      images,
      train=True,
      mutable=['batch_stats', 'intermediates'],
      rngs=rngs,
    )
    return found

  if rematerialize:
    forward = rematerialized(forward)

  def gradient(
    params: Any, batch_stats: Any, count: jax.Array, keys: jax.Array, part: Batch
  ) -> tuple[Any, Any, Metrics]:
    """Of the part's share of the mean loss over the batch, which has `count` labels."""
    dropout_key, phase_key = keys
    rngs = {'dropout': own_key(dropout_key), 'phase': phase_key}
    images = normalization(part['image'])

    def mean(values: jax.Array) -> jax.Array:
      return values.sum() / count.astype(values.dtype)

    def objective(params: Any) -> tuple[jax.Array, tuple[Any, Metrics]]:
      variables = {'params': params, 'batch_stats': batch_stats}
      logits, updated = forward(variables, images, rngs)
      loss = mean(task.losses(logits, part))
      scores = task.scores(logits, part)
      metrics = {f'train_{name}': mean(value) for name, value in scores.items()}
      metrics['train_loss'] = loss
      heads = updated.get('intermediates', {}).get('auxiliary_logits', ())
      if heads:
        auxiliary = [mean(task.losses(head, part)) for head in heads]
        metrics['auxiliary_loss'] = sum(auxiliary[1:], start=auxiliary[0])
        loss += auxiliary_weight * metrics['auxiliary_loss']
      return loss, (updated.get('batch_stats', {}), metrics)

    gradients, (batch_stats, metrics) = jax.grad(objective, has_aux=True)(params)
    return gradients, batch_stats, metrics

  gradient_of_batch = in_microbatches(gradient, microbatches)

  def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    # Not the key of the initial parameters: that is the seed's own.
    key = jax.random.fold_in(jax.random.key(state.seed), 1)
    key = jax.random.fold_in(key, state.step)
    augmentation_key, *keys = jax.random.split(key, 3)
    images, labels = augmentation(augmentation_key, batch['image'], batch['label'])
    batch = {**batch, 'image': images, 'label': labels}
    count = jnp.maximum(task.counts(batch).sum(), 1)  # All pixels may be ignored.
    gradients, batch_stats, metrics = gradient_of_batch(
      state.params, state.batch_stats, count, jnp.stack(keys), batch
    )
    if penalty is not None:
      metrics['penalty'], own = jax.value_and_grad(penalty)(state.params)
      gradients = jax.tree.map(jnp.add, gradients, own)
    metrics['gradient_norm'] = optax.tree.norm(gradients)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    state = state.replace(
      step=state.step + 1,
      params=optax.apply_updates(state.params, updates),
      batch_stats=batch_stats,
      opt_state=opt_state,
    )
    if ema_decay:
      averages = update_averages(state.averages, state.trained, ema_decay, state.step)
      state = state.replace(averages=averages)
    return state, metrics

  return step


def make_eval_step(
  model: nn.Module, task: Task, normalization: Normalization
) -> Callable[[TrainState, Batch], Metrics]:
  """A pure (state, batch) -> sums over the global batch.

  Returns:
    The step. It returns the sums of `loss`, `count`, and each of the task's scores and
    tallies, over the examples whose `mask` is true.
  """

  def step(state: TrainState, batch: Batch) -> Metrics:
    images = normalization(batch['image'])
    logits: Any = model.apply(state.variables, images, train=False)
    mask = batch['mask']
    values = {
      'loss': task.losses(logits, batch),
      'count': task.counts(batch),
      **task.scores(logits, batch),
      **task.tallies(logits, batch),
    }

    def total(value: jax.Array) -> jax.Array:
      # A padded example may hold anything, so it is left out, not multiplied by 0.
      real = mask.reshape(-1, *(1,) * (value.ndim - 1))
      return jnp.where(real, value, 0).sum(axis=0)

    return {name: total(value) for name, value in values.items()}

  return step


def evaluate(
  eval_step: Callable[[TrainState, Batch], Metrics],
  task: Task,
  state: TrainState,
  batches: Iterable[Batch],
) -> dict[str, Any]:
  """Metrics of a whole split, each example counted once.

  Args:
    eval_step: from `make_eval_step`, jitted.
    task: of the step.
    state: of the network.
    batches: that together hold the split, with `mask`.

  Returns:
    `test_<name>` of each of the task's metrics.
  """
  totals: dict[str, np.ndarray] = {}
  for batch in batches:
    for name, value in jax.device_get(eval_step(state, batch)).items():
      # In float64, because counts of pixels outgrow what the device adds up exactly.
      totals[name] = totals.get(name, np.float64(0.0)) + np.asarray(value, np.float64)
  return {f'test_{name}': value for name, value in task.metrics(totals).items()}
