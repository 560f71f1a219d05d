"""Train a network from a config: the main job, end to end."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from symjax import data, records
from symjax.checkpoints import CheckpointStore, set_aside
from symjax.errors import UserError
from symjax.experiments.absent_classes import describe_absent
from symjax.experiments.data import Splits, load_splits
from symjax.experiments.evaluators import SphereDeparture, symmetry_of
from symjax.experiments.filters import draw_filters
from symjax.experiments.initial_weights import (
  InitialWeights,
  load_initial_weights,
  require_same_start,
)
from symjax.experiments.presentation import layer_records, measure, present
from symjax.experiments.provenance import provenance
from symjax.experiments.recalibration import recalibrate, require_batch_norm
from symjax.experiments.same_start import require_agreement
from symjax.experiments.setup import Setup, build_for, precision
from symjax.experiments.summary import describe_update, summarise, update_options
from symjax.experiments.workdir import Workdir
from symjax.nn.conv import CostTable
from symjax.training import devices
from symjax.training.agreement import gather_text, together
from symjax.training.loop import Evaluator, Fitted, fit
from symjax.training.preemption import Preemption
from symjax.training.state import TrainState
from symjax.training.step import evaluate
from symjax.training.tensorboard import EventWriter


def train(
  config: Mapping[str, Any],
  workdir: str | Path,
  data_dir: str | None = None,
  manual_dir: str | None = None,
  command: str | None = None,
  init_weights: str | None = None,
) -> dict[str, Any] | None:
  """Trains, or goes on training, until the config is fulfilled.

  Every process of a run calls this with the same arguments, after
  `devices.join_processes`. Process 0 writes the records; all save checkpoints.

  Args:
    config: plain values, with the groups of `configs/base.py`.
    workdir: the run's folder, as in `Workdir`.
    data_dir: where TFDS keeps its data sets; None is TFDS's own default.
    manual_dir: where files that were downloaded by hand lie.
    command: that started the run, for the summary.
    init_weights: file that the run starts from, as `symjax.checkpoints.read` takes it;
      None is the network's own start. A run that has a checkpoint goes on from that.

  Returns:
    What `summary.json` holds, or None if SIGTERM stopped the run first.

  Raises:
    UserError: whatever the user can mend.
  """
  folder = Workdir(Path(workdir))
  origin = provenance()  # Of the code that trains: the tree may change meanwhile.
  require_agreement(config, init_weights, origin)
  with together():
    folder.require(config)
    require_same_start(folder, init_weights)
    complete = folder.summary.exists()
  if complete:
    return records.read_object(folder.summary)

  with precision(config):
    with together():
      mesh = devices.make_mesh(
        config['train']['batch_size'], microbatches=config['train']['microbatches']
      )
      splits = load_splits(config['data'], data_dir, manual_dir)
      costs = folder.read_costs(config)
      setup = build_for(config, splits.train, costs)
      require_batch_norm(config, setup)
      table = layer_records(setup.layers)
      start = load_initial_weights(folder, setup, init_weights)
    with _claimed(folder, config, table, costs, start):
      if jax.process_index() == 0:
        for line in (*describe_absent(splits), *describe_update(config)):
          print(line)
      state, seconds, complete = _train(config, setup, mesh, splits, folder, start)
      if not complete:
        return None
      if jax.process_index() > 0:
        return {}
      # Replicated, so every process has all of it; from here on process 0 is alone.
      params = jax.device_get(state.variables['params'])
      with Preemption():  # Seconds of writing, which a signal does not break off.
        return _conclude(
          config, setup, splits, folder, params, seconds, table, origin, command
        )


def _conclude(
  config: Mapping[str, Any],
  setup: Setup,
  splits: Splits,
  folder: Workdir,
  params: Any,
  seconds: float,
  table: Mapping[str, Any],
  origin: Mapping[str, Any],
  command: str | None,
) -> dict[str, Any]:
  """Writes what a run that reached its last step leaves, the summary last."""
  profile, shapes = measure(params, table['strides'])
  records.write_json(folder.profile, profile)
  rows = folder.metrics.read()
  described = folder.describe(setup.schedule.steps)
  present(
    profile,
    shapes,
    table['downsampling'],
    rows,
    folder.figures,
    folder.path.name,
    described,
  )
  draw_filters(params, config, folder.figures, described)
  summary = summarise(rows, setup, params, splits, seconds, profile) | {
    'name': folder.path.name,
    'seed': config['seed'],
    'recalibrated_batch_norm': config['train']['recalibrate_batch_norm'],
    **update_options(config),
    'command': command,
    **origin,
  }
  records.write_json(folder.summary, summary)
  return summary


@contextlib.contextmanager
def _claimed(
  folder: Workdir,
  config: Mapping[str, Any],
  table: Mapping[str, Any],
  costs: CostTable | None,
  start: InitialWeights | None,
) -> Iterator[None]:
  """Process 0 holds the folder for all, once nothing is left that could be mistaken.

  It also sets aside checkpoints that are damaged, before any process looks at them.

  Raises:
    UserError: on every process, if process 0 cannot have or write the folder, or no
      checkpoint in it is whole.
  """
  with contextlib.ExitStack() as stack:
    with together():
      if jax.process_index() == 0:
        stack.enter_context(folder.locked())
        folder.claim(config, table, costs, start.record if start else None)
        if start:
          print(start.describe())
        if line := set_aside(folder.checkpoints):
          print(line, file=sys.stderr)
    yield


def _train(
  config: Mapping[str, Any],
  setup: Setup,
  mesh: Mesh,
  splits: Splits,
  folder: Workdir,
  start: InitialWeights | None,
) -> Fitted:
  """Goes from the newest checkpoint to the end, or to a signal."""
  store = CheckpointStore(folder.checkpoints)
  try:
    state, seconds = _restore(setup, mesh, store, start)
    trained = _fit(config, setup, mesh, splits, folder, store, state, seconds)
  except BaseException:
    # What went wrong first is what to report; a failing close is its consequence.
    with contextlib.suppress(UserError):
      store.close()
    raise
  store.close()
  return trained


def _restore(
  setup: Setup, mesh: Mesh, store: CheckpointStore, start: InitialWeights | None
) -> tuple[TrainState, float]:
  """The newest state saved, or the first one, whole on every device."""
  whole = devices.replicated(mesh)
  step = store.latest_step()
  if step is None and start:
    return jax.jit(setup.start_state, out_shardings=whole)(start.variables), 0.0
  if step is None:
    return jax.jit(setup.create_state, out_shardings=whole)(), 0.0
  like = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=whole),
    jax.eval_shape(setup.create_state),
  )
  state, progress = store.restore(step, like)
  return state, progress['train_seconds']


def _fit(
  config: Mapping[str, Any],
  setup: Setup,
  mesh: Mesh,
  splits: Splits,
  folder: Workdir,
  store: CheckpointStore,
  state: TrainState,
  seconds: float,
) -> Fitted:
  batch_size = config['train']['batch_size']
  step = int(state.step)
  place = {'process_index': jax.process_index(), 'process_count': jax.process_count()}
  eval_step = devices.jit(setup.eval_step, mesh, donate_state=False)

  def test(state: TrainState) -> dict[str, Any]:
    batches = data.evaluation_batches(splits.test, setup.microbatch_size, **place)
    with data.prefetch(batches, lambda b: devices.place_batch(mesh, b)) as placed:
      return evaluate(eval_step, setup.task, state, placed)

  def finish(state: TrainState) -> TrainState:
    if not config['train']['recalibrate_batch_norm']:
      return state
    return recalibrate(config, setup, mesh, splits.train, state)

  evaluators: list[Evaluator] = []
  if any(layer.kind == 'conv' for layer in setup.layers):
    evaluators.append(symmetry_of)
  if setup.sphere_kernels:
    evaluators.append(SphereDeparture(setup.sphere_kernels))
  batches = data.training_batches(
    splits.train, batch_size, config['seed'], step, setup.schedule.steps, **place
  )
  with (
    _recorder(folder, step) as write,
    data.prefetch(batches, lambda b: devices.place_batch(mesh, b)) as placed,
  ):
    return fit(
      state,
      devices.jit(setup.train_step, mesh, donate_state=True),
      placed,
      setup.schedule,
      setup.learning_rate,
      evaluators=[test, *evaluators],
      rank=setup.task.rank,
      store=store,
      write=write,
      train_seconds=seconds,
      finish=finish,
      evaluated=_is_evaluated(folder, setup, step),
    )


def _is_evaluated(folder: Workdir, setup: Setup, step: int) -> bool:
  """Whether the log has an evaluation of a step; as process 0 finds it, for all."""
  steps: list[int] = []
  with together():
    if jax.process_index() == 0:
      rows = folder.metrics.read()
      steps = [row['step'] for row in rows if setup.task.headline in row]
  return gather_text(str(step in steps))[0] == str(True)


@contextlib.contextmanager
def _recorder(
  folder: Workdir, step: int
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
  """Takes rows of metrics to the log and to TensorBoard, on process 0."""
  if jax.process_index() > 0:
    yield lambda row: None
    return
  events = EventWriter(folder.path / 'tensorboard', step)

  def write(row: Mapping[str, Any]) -> None:
    folder.metrics.append(row)
    events.write(row)

  try:
    yield write
  finally:
    events.close()
