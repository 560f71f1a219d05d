"""One step of training and one of evaluation: pure, jitted over a device mesh."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from symjax.training.images import Augmentation, Normalization
from symjax.training.state import TrainState
from symjax.training.tasks import Batch

Metrics = dict[str, jax.Array]


class Task(Protocol):
  """Losses and metrics of a network's outputs, one number an example.

  Attributes:
    headline: the metric of `summary.json`.
    unit: its, in words.
    interval: scores of examples -> the confidence interval of their mean.
    smooth_score_name: what `smooth_score` is, in words.
  """

  headline: str
  unit: str
  smooth_score_name: str

  @property
  def interval(self) -> Callable[[Sequence[float]], tuple[float, float]]:
    """As above."""
    ...

  def rank(self, row: Mapping[str, Any]) -> float:
    """An evaluation's numbers as one: the larger, the better."""
    ...

  def losses(self, logits: jax.Array, batch: Batch) -> jax.Array:
    """[batch]."""
    ...

  def scores(self, logits: jax.Array, batch: Batch) -> dict[str, jax.Array]:
    """Name -> [batch]."""
    ...

  def predictions(self, logits: jax.Array) -> jax.Array:
    """[batch], or [batch, height, width]: what is compared between two views."""
    ...

  def smooth_score(self, logits: jax.Array, batch: Batch) -> jax.Array:
    """[batch]: how right an output is, without the steps of a decision."""
    ...


def make_train_step(
  model: nn.Module,
  optimizer: optax.GradientTransformation,
  task: Task,
  normalization: Normalization,
  augmentation: Augmentation,
  penalty: Callable[[Any], jax.Array] | None = None,
  auxiliary_weight: float = 0.0,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
  """A pure (state, batch) -> (state, metrics); jit it over a mesh with `devices.jit`.

  Under jit the batch is the global one, however many devices hold it: BatchNorm's
  statistics and the loss are means over all of it. Randomness is keyed by
  (the state's seed, step, index in the global batch).

  Args:
    model: called on normalised images with `train`.
    optimizer: of the parameters.
    task: losses and metrics.
    normalization: of uint8 images.
    augmentation: of uint8 images.
    penalty: a scalar of the parameters that is added to the loss.
    auxiliary_weight: times the loss of each `auxiliary_logits` that the model sows
      into `intermediates`; the sum is added to the loss.

  Returns:
    The step. Its metrics are means over the global batch before the update:
    `train_loss`, one `train_<score>` for each of the task's, `penalty` and
    `auxiliary_loss` (not yet weighted) where there are such, and `gradient_norm`, the
    norm of the gradient of all that is minimised.
  """

  def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    # Not the key of the initial parameters: that is the seed's own.
    key = jax.random.fold_in(jax.random.key(state.seed), 1)
    key = jax.random.fold_in(key, state.step)
    augmentation_key, dropout_key, phase_key = jax.random.split(key, 3)
    images = normalization(augmentation(augmentation_key, batch['image']))

    def objective(params: Any) -> tuple[jax.Array, tuple[Any, Metrics]]:
      logits, updated = model.apply(
        {'params': params, 'batch_stats': state.batch_stats},
        images,
        train=True,
        mutable=['batch_stats', 'intermediates'],
        rngs={'dropout': dropout_key, 'phase': phase_key},
      )
      loss = task.losses(logits, batch).mean()
      scores = task.scores(logits, batch)
      metrics = {f'train_{name}': value.mean() for name, value in scores.items()}
      metrics['train_loss'] = loss
      heads = updated.get('intermediates', {}).get('auxiliary_logits', ())
      if heads:
        auxiliary = [task.losses(head, batch).mean() for head in heads]
        metrics['auxiliary_loss'] = sum(auxiliary[1:], start=auxiliary[0])
        loss += auxiliary_weight * metrics['auxiliary_loss']
      if penalty is not None:
        metrics['penalty'] = penalty(params).astype(loss.dtype)
        loss += metrics['penalty']
      return loss, (updated.get('batch_stats', {}), metrics)

    gradients, (batch_stats, metrics) = jax.grad(objective, has_aux=True)(state.params)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    metrics['gradient_norm'] = optax.tree.norm(gradients)
    state = state.replace(
      step=state.step + 1,
      params=optax.apply_updates(state.params, updates),
      batch_stats=batch_stats,
      opt_state=opt_state,
    )
    return state, metrics

  return step


def make_eval_step(
  model: nn.Module, task: Task, normalization: Normalization
) -> Callable[[TrainState, Batch], Metrics]:
  """A pure (state, batch) -> sums over the global batch.

  Returns:
    The step. It returns `count`, and the sum of `loss` and of each of the task's
    scores, over the examples whose `mask` is true.
  """

  def step(state: TrainState, batch: Batch) -> Metrics:
    images = normalization(batch['image'])
    logits: Any = model.apply(state.variables, images, train=False)
    mask = batch['mask']
    values = {'loss': task.losses(logits, batch), **task.scores(logits, batch)}
    # A padded example may hold anything, so it is left out, not multiplied by 0.
    sums = {name: jnp.where(mask, value, 0).sum() for name, value in values.items()}
    return sums | {'count': mask.sum()}

  return step


def evaluate(
  eval_step: Callable[[TrainState, Batch], Metrics],
  state: TrainState,
  batches: Any,
) -> dict[str, float]:
  """Means over a whole split, each example counted once.

  Returns:
    `test_<name>` of every sum that the step returns.
  """
  totals: dict[str, float] = {}
  for batch in batches:
    for name, value in jax.device_get(eval_step(state, batch)).items():
      totals[name] = totals.get(name, 0.0) + float(value)
  count = totals.pop('count')
  return {f'test_{name}': total / count for name, total in totals.items()}
