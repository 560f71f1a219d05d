"""The training loop: steps, and between them evaluation, records and checkpoints."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import jax

from symjax.errors import UserError
from symjax.training.preemption import Preemption
from symjax.training.progress import Progress
from symjax.training.state import TrainState

Evaluator = Callable[[TrainState], Mapping[str, Any]]


class Store(Protocol):
  """Where checkpoints go; `symjax.checkpoints.CheckpointStore` is one."""

  def latest_step(self) -> int | None:
    """The newest step saved."""
    ...

  def save(
    self, step: int, state: Any, progress: dict[str, float], score: float | None
  ) -> None:
    """Begins to save."""
    ...


@dataclasses.dataclass(frozen=True)
class Schedule:
  """What happens after which step.

  Attributes:
    steps: of the whole training.
    steps_per_epoch: examples / batch size; it need not be whole.
    log_every: steps between rows of training metrics.
    checkpoint_every: steps between checkpoints; every epoch ends with one as well.
  """

  steps: int
  steps_per_epoch: float
  log_every: int
  checkpoint_every: int

  def ends_epoch(self, step: int) -> bool:
    """Whether an epoch, or the training, ends within step number `step`."""
    before, after = (math.floor(s / self.steps_per_epoch) for s in (step - 1, step))
    return step > 0 and (after > before or step == self.steps)

  def epoch(self, step: int) -> float:
    """Epochs done after `step` steps."""
    return step / self.steps_per_epoch


def due(step: int, every: int, last: int) -> bool:
  """Whether something periodic happens after `step`: each `every`, and the last."""
  return step > 0 and (step % every == 0 or step == last)


def fit(
  state: TrainState,
  train_step: Callable[[TrainState, Any], tuple[TrainState, Mapping[str, jax.Array]]],
  batches: Iterable[Any],
  schedule: Schedule,
  learning_rate: Callable[[int], Any],
  batch_size: int,
  evaluators: Sequence[Evaluator],
  headline: str,
  store: Store,
  write: Callable[[Mapping[str, Any]], None],
  train_seconds: float = 0.0,
) -> tuple[TrainState, float]:
  """Trains from `state.step` to the end, or until SIGTERM.

  Args:
    state: where to begin; donated.
    train_step: (state, batch) -> (state, metrics), jitted.
    batches: one for each step from `state.step` on.
    schedule: when to log, evaluate and save.
    learning_rate: for the records.
    batch_size: of the global batch.
    evaluators: each gives numbers about a state; run before the first step and after
      every epoch.
    headline: the evaluators' number by which the best checkpoint is kept.
    store: takes the checkpoints.
    write: takes the rows for the records.
    train_seconds: that the run took before it was resumed.

  Returns:
    The last state, and the seconds of training in all: steps, evaluation and saving.
    Its step is less than `schedule.steps` if SIGTERM stopped it.

  Raises:
    UserError: the loss or the gradient is not finite. Nothing is saved of the steps
      since the last good checkpoint.
  """
  step = int(state.step)
  progress = Progress(step, schedule.steps, visible=jax.process_index() == 0)
  began = time.monotonic() - train_seconds
  mark, mark_step = time.monotonic(), step
  pending: list[Mapping[str, jax.Array]] = []

  def evaluate() -> float:
    row = {'step': step, 'epoch': schedule.epoch(step)}
    for evaluator in evaluators:
      row |= evaluator(state)
    write(row)
    progress.evaluation(row)
    return row[headline]

  with progress, Preemption() as preemption:
    if step == 0:
      evaluate()
      mark = time.monotonic()
    for batch in batches:
      state, metrics = train_step(state, batch)
      pending.append(metrics)
      step += 1
      stop = preemption.requested(step)
      ends_epoch = schedule.ends_epoch(step)
      save = ends_epoch or stop or due(step, schedule.checkpoint_every, schedule.steps)
      if save or due(step, schedule.log_every, schedule.steps):
        means = _means(pending, step, store)
        pending = []
        seconds = (time.monotonic() - mark) / (step - mark_step)
        row = {
          'step': step,
          'epoch': schedule.epoch(step),
          **means,
          'learning_rate': float(learning_rate(step - 1)),
          'images_per_second': batch_size / seconds,
          'seconds_per_step': seconds,
        }
        write(row)
        progress.train(row)
        score = evaluate() if ends_epoch else None
        if save:
          seconds_so_far = {'train_seconds': time.monotonic() - began}
          store.save(step, state, seconds_so_far, score)
        mark, mark_step = time.monotonic(), step
      if stop:
        progress.note(f'stopped by SIGTERM after step {step}; the same command goes on')
        break
  return state, time.monotonic() - began


def _means(
  pending: Sequence[Mapping[str, jax.Array]], step: int, store: Store
) -> dict[str, float]:
  """Means of the metrics of the steps up to `step`.

  Raises:
    UserError: one of them is not finite, naming the first such step.
  """
  rows = [
    {name: float(value) for name, value in metrics.items()}
    for metrics in jax.device_get(list(pending))
  ]
  for offset, row in enumerate(rows):
    for name, value in row.items():
      if not math.isfinite(value):
        kept = store.latest_step()
        good = 'there is no checkpoint yet' if kept is None else f'step {kept} is kept'
        raise UserError(
          f'{name} is {value} at step {step - len(rows) + offset + 1}; {good}; '
          'try a lower optimizer.learning_rate or a longer schedule.warmup_epochs'
        )
  return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
