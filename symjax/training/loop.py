"""The training loop: steps, and between them evaluation, records and checkpoints."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from symjax.errors import UserError
from symjax.training.preemption import Interrupted, Preemption
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
    examples: of the training split; an epoch sees each once.
    batch_size: of the global batch; it need not divide `examples`.
    log_every: steps between rows of training metrics.
    checkpoint_every: steps between checkpoints; every epoch ends with one as well.
  """

  steps: int
  examples: int
  batch_size: int
  log_every: int
  checkpoint_every: int

  @property
  def steps_per_epoch(self) -> float:
    """Not always a whole number."""
    return self.examples / self.batch_size

  def ends_epoch(self, step: int) -> bool:
    """Whether an epoch, or the training, ends within step number `step`."""
    # In whole numbers, because a quotient may fall short of the epoch it reaches.
    before, after = (s * self.batch_size // self.examples for s in (step - 1, step))
    return step > 0 and (after > before or step == self.steps)

  def epoch(self, step: int) -> float:
    """Epochs done after `step` steps."""
    return step * self.batch_size / self.examples


class Fitted(NamedTuple):
  """What came of a training.

  Attributes:
    state: the last one.
    train_seconds: in all: steps, evaluation and saving.
    complete: whether nothing is left to do; False if a signal stopped it.
  """

  state: TrainState
  train_seconds: float
  complete: bool


def due(step: int, every: int, last: int) -> bool:
  """Whether something periodic happens after `step`: each `every`, and the last."""
  return step > 0 and (step % every == 0 or step == last)


def fit(
  state: TrainState,
  train_step: Callable[[TrainState, Any], tuple[TrainState, Mapping[str, jax.Array]]],
  batches: Iterable[Any],
  schedule: Schedule,
  learning_rate: Callable[[int], Any],
  evaluators: Sequence[Evaluator],
  rank: Callable[[Mapping[str, Any]], float],
  store: Store,
  write: Callable[[Mapping[str, Any]], None],
  train_seconds: float = 0.0,
  finish: Callable[[TrainState], TrainState] = lambda state: state,
  evaluated: bool = False,
) -> Fitted:
  """Trains from `state.step` to the end, or until SIGTERM or SIGINT.

  Args:
    state: where to begin; donated.
    train_step: (state, batch) -> (state, metrics), jitted.
    batches: one for each step from `state.step` on.
    schedule: when to log, evaluate and save.
    learning_rate: for the records.
    evaluators: each gives numbers about a state; run before the first step and after
      every epoch. After a signal none is; of a process alone, it breaks them off.
    rank: the evaluators' numbers -> the one by which the best checkpoint is kept;
      larger is better.
    store: takes the checkpoints.
    write: takes the rows for the records.
    train_seconds: that the run took before it was resumed.
    finish: what becomes of the state after the last step, before it is evaluated and
      saved; broken off, it is done anew.
    evaluated: whether `state` has been; where it ends an epoch and has not, that is
      made up for.

  Returns:
    What came of it.

  Raises:
    UserError: the loss, the gradient, a parameter or an evaluation is not finite.
      Nothing is saved of the steps since the last good checkpoint.
  """
  step = int(state.step)
  progress = Progress(step, schedule.steps, visible=jax.process_index() == 0)
  began = time.monotonic() - train_seconds
  mark, mark_step = time.monotonic(), step
  pending: list[Mapping[str, jax.Array]] = []

  def evaluate() -> float | None:
    """The rank of the state; None if a signal broke off its evaluation."""
    nonlocal state
    row = {'step': step, 'epoch': schedule.epoch(step)}
    try:
      with preemption.interruptible():
        if step == schedule.steps:
          state = finish(state)
        for evaluator in evaluators:
          row |= evaluator(state)
    except Interrupted:
      return None
    for name, value in row.items():
      if isinstance(value, float):
        _require_finite(name, value, step, store)
    write(row)
    progress.evaluation(row)
    return rank(row)

  stop = False

  def save(score: float | None) -> None:
    finite = float(_all_finite(state))
    _require_finite('a parameter', 0.0 if finite else math.nan, step, store)
    store.save(step, state, {'train_seconds': time.monotonic() - began}, score)

  with progress, Preemption() as preemption:
    if not evaluated and (step == 0 or schedule.ends_epoch(step)):
      score = evaluate()
      if score is None:
        progress.note('stopped by a signal; the same command goes on')
        return Fitted(state, time.monotonic() - began, complete=False)
      if step > 0:
        save(score)
      mark = time.monotonic()
    for batch in batches:
      state, metrics = train_step(state, batch)
      pending.append(metrics)
      step += 1
      ends_epoch = schedule.ends_epoch(step)
      stop = preemption.requested(step)
      saves = ends_epoch or stop or due(step, schedule.checkpoint_every, schedule.steps)
      if saves or due(step, schedule.log_every, schedule.steps):
        means = _means(pending, step, store)
        pending = []
        seconds = (time.monotonic() - mark) / (step - mark_step)
        row = {
          'step': step,
          'epoch': schedule.epoch(step),
          **means,
          'learning_rate': float(learning_rate(step - 1)),
          'images_per_second': schedule.batch_size / seconds,
          'seconds_per_step': seconds,
        }
        write(row)
        progress.train(row)
        score = evaluate() if ends_epoch and not stop else None
        stop = stop or (ends_epoch and score is None)
        if saves:
          save(score)
        mark, mark_step = time.monotonic(), step
      if stop:
        progress.note(
          f'stopped by a signal after step {step}; the same command goes on'
        )
        break
  return Fitted(state, time.monotonic() - began, complete=not stop)


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
  first = step - len(rows) + 1
  for offset, row in enumerate(rows):
    for name, value in row.items():
      _require_finite(name, value, first + offset, store)
  return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


@jax.jit
def _all_finite(tree: Any) -> jax.Array:
  """Whether a checkpoint of this would be good: no NaN and no infinity in it."""
  leaves = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]
  return jnp.stack(leaves).all()


def _require_finite(name: str, value: float, step: int, store: Store) -> None:
  if math.isfinite(value):
    return
  kept = store.latest_step()
  good = 'there is no checkpoint yet' if kept is None else f'step {kept} is kept'
  raise UserError(
    f'{name} is {value} at step {step}; {good}; start anew in another --workdir with a '
    'lower optimizer.learning_rate or a longer schedule.warmup_epochs'
  )
