"""The loop, around a step that counts."""

import os
import signal

import jax.numpy as jnp
import numpy as np
import pytest

from symjax.errors import UserError
from symjax.training.loop import Schedule, due, fit
from symjax.training.state import TrainState


class Store:
  """Remembers what was saved."""

  def __init__(self):
    self.saved = []

  def latest_step(self):
    return self.saved[-1][0] if self.saved else None

  def save(self, step, state, progress, score):
    assert int(state.step) == step
    assert progress['train_seconds'] > 0
    self.saved.append((step, score))


def first_state():
  return TrainState(jnp.zeros((), jnp.int32), {}, {}, (), jnp.zeros((), jnp.uint32))


def train(
  schedule, step=None, first_step=0, loss=lambda step: 1.0, accuracy=lambda step: step
):
  """Runs the loop; returns rows, what was saved, and what came of it."""
  rows, store = [], Store()

  def train_step(state, batch):
    assert int(state.step) == batch
    metrics = {'train_loss': jnp.asarray(loss(batch), jnp.float32)}
    return state.replace(step=state.step + 1), metrics

  fitted = fit(
    first_state().replace(step=jnp.asarray(first_step)),
    step or train_step,
    range(first_step, schedule.steps),
    schedule,
    learning_rate=lambda step: 0.1 * step,
    evaluators=[lambda state: {'test_accuracy': float(accuracy(state.step))}],
    rank=lambda row: row['test_accuracy'],
    store=store,
    write=rows.append,
  )
  return rows, store.saved, fitted


@pytest.mark.parametrize('every', [1, 3, 10, 100])
def test_periodic_things_happen_on_time_and_at_the_last_step(every):
  steps = [step for step in range(0, 26) if due(step, every, 25)]
  assert steps == sorted({*range(every, 26, every), 25})


@pytest.mark.parametrize(
  'examples, batch_size', [(8, 8), (20, 8), (58, 8), (320, 8), (3, 8), (60_000, 21)]
)
def test_every_epoch_ends_with_the_step_that_completes_it(examples, batch_size):
  steps = 30 * examples // batch_size + 1
  schedule = Schedule(steps, examples, batch_size, 10, 10)
  ends = [step for step in range(steps + 1) if schedule.ends_epoch(step)]
  whole = {-(-epoch * examples // batch_size) for epoch in range(1, 31)}
  assert set(ends) == whole | {steps}
  assert schedule.epoch(steps) == pytest.approx(steps / schedule.steps_per_epoch)


def test_rows_checkpoints_and_evaluations_follow_the_schedule():
  rows, saved, fitted = train(Schedule(10, 32, 8, log_every=3, checkpoint_every=5))
  tests = {row['step']: row['test_accuracy'] for row in rows if 'test_accuracy' in row}
  assert tests == {0: 0.0, 4: 4.0, 8: 8.0, 10: 10.0}
  assert [row['step'] for row in rows if 'train_loss' in row] == [3, 4, 5, 6, 8, 9, 10]
  assert saved == [(4, 4.0), (5, None), (8, 8.0), (10, 10.0)]
  assert int(fitted.state.step) == 10 and fitted.complete
  row = rows[1]
  assert row['epoch'] == 0.75
  assert row['learning_rate'] == pytest.approx(0.2)
  assert row['images_per_second'] == pytest.approx(8 / row['seconds_per_step'])


def test_training_rows_are_means_over_their_steps():
  rows, _, _ = train(Schedule(6, 48, 8, 3, 100), loss=lambda step: step**2)
  losses = [row['train_loss'] for row in rows if 'train_loss' in row]
  assert losses == pytest.approx([(0 + 1 + 4) / 3, (9 + 16 + 25) / 3])


def test_a_resumed_run_does_not_evaluate_its_first_state_again():
  rows, _, _ = train(Schedule(6, 24, 8, 2, 100), first_step=4)
  assert [row['step'] for row in rows] == [6, 6]


def test_the_last_state_is_finished_before_it_is_evaluated_and_saved():
  rows, store, finished = [], Store(), []

  def finish(state):
    finished.append(int(state.step))
    return state.replace(batch_stats={'mean': jnp.ones(())})

  state, _, _ = fit(
    first_state(),
    lambda state, batch: (state.replace(step=state.step + 1), {}),
    range(10),
    Schedule(10, 32, 8, log_every=3, checkpoint_every=5),
    learning_rate=lambda step: 0.1,
    evaluators=[lambda state: {'test_accuracy': float(len(state.batch_stats))}],
    rank=lambda row: row['test_accuracy'],
    store=store,
    write=rows.append,
    finish=finish,
  )
  assert finished == [10] and state.batch_stats
  assert [row['test_accuracy'] for row in rows if 'test_accuracy' in row] == [
    0, 0, 0, 1
  ]  # fmt: skip
  assert store.saved[-1] == (10, 1.0)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_loss_that_is_not_finite_is_named_with_its_step(value):
  """Steps 1 to 4 are good and kept; 6 is the first bad one of its interval."""
  with pytest.raises(
    UserError, match=f'train_loss is {value} at step 6; step 4 is kept'
  ):
    train(Schedule(12, 32, 8, 4, 100), loss=lambda step: value if step >= 5 else 1.0)
  with pytest.raises(UserError, match='at step 1; there is no checkpoint yet'):
    train(Schedule(12, 32, 8, 4, 100), loss=lambda step: value)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_signals_save_and_stop(number):
  def terminated(state, batch):
    if batch == 3:
      os.kill(os.getpid(), number)
    return state.replace(step=state.step + 1), {'train_loss': jnp.ones(())}

  before = signal.getsignal(number)
  rows, saved, fitted = train(Schedule(100, 400, 8, 10, 100), step=terminated)
  assert saved == [(4, None)]
  assert int(fitted.state.step) == 4 and not fitted.complete
  assert rows[-1]['step'] == 4
  assert signal.getsignal(number) is before


@pytest.mark.parametrize('steps', [8, 12])
def test_a_signal_breaks_off_an_evaluation_that_is_made_up_for(steps):
  """At the end of the second epoch, be it the last one or not."""

  def stopped(step):
    if step == 8:
      os.kill(os.getpid(), signal.SIGTERM)
      pytest.fail('went on')
    return step

  schedule = Schedule(steps, 32, 8, 10, 100)
  rows, saved, fitted = train(schedule, accuracy=stopped)
  assert saved == [(4, 4.0), (8, None)] and not fitted.complete
  assert 'test_accuracy' not in rows[-1] and rows[-1]['step'] == 8
  rows, saved, fitted = train(schedule, first_step=8)
  assert rows[0] == {'step': 8, 'epoch': 2.0, 'test_accuracy': 8.0}
  assert saved[0] == (8, 8.0)
  assert fitted.complete and int(fitted.state.step) == steps


def test_a_signal_in_the_first_evaluation_stops_before_anything_is_saved():
  def stopped(step):
    del step
    os.kill(os.getpid(), signal.SIGTERM)
    pytest.fail('went on')

  rows, saved, fitted = train(Schedule(12, 32, 8, 10, 100), accuracy=stopped)
  assert (rows, saved, fitted.complete) == ([], [], False)


def test_a_second_interrupt_is_not_waited_for():
  def impatient(state, batch):
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
    return state, {}

  with pytest.raises(KeyboardInterrupt):
    train(Schedule(100, 400, 8, 10, 100), step=impatient)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_state_that_is_not_finite_is_not_saved(value):
  """The loss is that of the parameters before the update: it may still be fine."""
  params = {'kernel': jnp.array([1.0, value])}

  def step(state, batch):
    after = {'params': params} if batch == 5 else {}
    return state.replace(step=state.step + 1, **after), {'train_loss': jnp.ones(())}

  with pytest.raises(UserError, match='a parameter is nan at step 6; step 4 is kept'):
    train(Schedule(12, 48, 8, 4, 2), step=step)


def test_an_evaluation_that_is_not_finite_is_named():
  with pytest.raises(UserError, match='test_accuracy is inf at step 4; there is no'):
    train(Schedule(12, 32, 8, 4, 100), accuracy=lambda step: np.inf if step else 0.0)
