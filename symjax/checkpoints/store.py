"""Checkpoints of a training run: written in the background, whole or not at all."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy

from symjax.checkpoints.damage import reason, saved_steps
from symjax.errors import UserError

_METADATA_BYTES = 4 * 2**20


class CheckpointStore:
  """The checkpoints in a folder: the latest two, and the best by a score.

  A checkpoint appears under its final name once all of it is on disk, so a process
  killed at any moment leaves the one before; of the latest two, one may come to harm
  (`damage.set_aside`). Every process of a run calls each method; sharded arrays are
  written by those that hold them.
  """

  def __init__(self, folder: Path, read_only: bool = False) -> None:
    """Opens the folder.

    Args:
      folder: made if it does not exist, unless `read_only`.
      read_only: leaves everything as it is, also what a running training is writing.

    Raises:
      UserError: the score of a checkpoint cannot be read.
    """
    self.folder = folder.resolve()
    policies = [
      preservation_policy.LatestN(2),
      preservation_policy.BestN(
        n=1,
        get_metric_fn=_score,
        keep_checkpoints_without_metrics=False,
      ),
    ]
    options = ocp.CheckpointManagerOptions(
      best_fn=_score,
      preservation_policy=preservation_policy.AnyPreservationPolicy(policies),
      cleanup_tmp_directories=not read_only,
      create=not read_only,
      read_only=read_only,
    )
    try:
      self._manager = ocp.CheckpointManager(
        self.folder,
        item_handlers={
          'state': ocp.StandardCheckpointHandler(),
          'progress': ocp.JsonCheckpointHandler(),
        },
        options=options,
      )
    except ValueError as error:  # It reads every score at once.
      raise UserError(
        f'a checkpoint in {self.folder} is damaged ({reason(error)}); run.train on '
        'that workdir sets it aside'
      ) from error

  def latest_step(self) -> int | None:
    """The newest step saved; None if there is none."""
    return self._manager.latest_step()

  def best_step(self) -> int | None:
    """The step with the highest score; None if none was saved with one."""
    return self._manager.best_step()

  def save(
    self, step: int, state: Any, progress: dict[str, float], score: float | None
  ) -> None:
    """Begins to write a checkpoint; the state may be donated right after.

    Args:
      step: that it is of. One that is there already is written anew if there is a score
        now, because without one it was saved in haste.
      state: a pytree of arrays.
      progress: numbers about the run that are not part of its state.
      score: decides which checkpoint is the best; None never is.

    Raises:
      UserError: the disk has no room for it, or an earlier one was not written.
    """
    if step in self._manager.all_steps():
      if score is None:
        return
      with self._writing():
        self._manager.wait_until_finished()
        self._manager.delete(step)
    self._require_room(step, state)
    with self._writing():
      self._manager.save(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardSave(state), progress=ocp.args.JsonSave(progress)
        ),
        metrics=None if score is None else {'score': score},
        force=True,
      )

  def _require_room(self, step: int, state: Any) -> None:
    """Refuses to begin what a full disk would break off, in threads that shout."""
    needed = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    free = shutil.disk_usage(self.folder).free
    if free < needed * 1.1 + _METADATA_BYTES:
      raise UserError(
        f'no room for the checkpoint of step {step}: it takes {needed / 2**20:.1f} MiB '
        f'and some, and {self.folder} has {free / 2**20:.1f} MiB left; {self._kept()}'
      )

  def _kept(self) -> str:
    """What is on disk whatever happens now, in words."""
    steps = saved_steps(self.folder)
    kept = f'step {steps[-1]}' if steps else 'no checkpoint'
    return f'{kept} is kept; make room and run the same command again'

  def restore(self, step: int, like: Any) -> tuple[Any, dict[str, float]]:
    """The state and the progress saved at `step`.

    Args:
      step: one that was saved.
      like: a pytree of `jax.ShapeDtypeStruct` with shardings, as the state should be.

    Raises:
      UserError: the checkpoint is of another model, or cannot be read.
    """
    difference = _first_difference(self._saved(step), like)
    if difference:
      raise UserError(
        f'checkpoint {self.folder / str(step)} is of another model: {difference}; use '
        'another --workdir'
      )
    restored = self._restore(step, like)
    return restored['state'], restored['progress']

  def restore_variables(self, step: int) -> dict[str, Any]:
    """The network saved at `step`, as numpy arrays on this process.

    Returns:
      `params` and `batch_stats`: their moving averages, if the run keeps such.

    Raises:
      UserError: the checkpoint cannot be read.
    """
    state = self.restore_arrays(step)
    found = state.get('averages') or state
    return {name: found[name] for name in ('params', 'batch_stats') if name in found}

  def restore_params(self, step: int) -> Any:
    """The parameters of `restore_variables`.

    Raises:
      UserError: the checkpoint cannot be read.
    """
    return self.restore_variables(step)['params']

  def restore_arrays(self, step: int) -> Any:
    """The state saved at `step`, of whatever model, as numpy arrays on this process.

    Raises:
      UserError: the checkpoint cannot be read.
    """
    local = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    like = jax.tree.map(
      lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=local),
      self._saved(step),
    )
    return jax.device_get(self._restore(step, like)['state'])

  def close(self) -> None:
    """Waits until everything is on disk.

    Raises:
      UserError: a checkpoint could not be written.
    """
    with self._writing():
      self._manager.wait_until_finished()
      self._manager.close()

  @contextlib.contextmanager
  def _writing(self) -> Iterator[None]:
    """Says what an error of writing, often of an earlier save's thread, leaves."""
    try:
      yield
    except Exception as error:
      raise UserError(
        f'a checkpoint could not be written to {self.folder} ({reason(error)}); '
        f'{self._kept()}'
      ) from error

  def _saved(self, step: int) -> Any:
    """Shapes and dtypes of the state saved at `step`."""
    try:
      return self._manager.item_metadata(step)['state'].tree
    except Exception as error:
      raise self._unreadable(step, error) from error

  def _restore(self, step: int, like: Any) -> Any:
    try:
      return self._manager.restore(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardRestore(like), progress=ocp.args.JsonRestore()
        ),
      )
    except Exception as error:
      raise self._unreadable(step, error) from error

  def _unreadable(self, step: int, error: Exception) -> UserError:
    return UserError(
      f'checkpoint {self.folder / str(step)} cannot be read ({reason(error)}); if it '
      'is damaged, run.train on that workdir goes on from the one before'
    )


def _reason(error: Exception) -> str:
  return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _score(metrics: Any) -> float:
  return metrics['score']


def _first_difference(saved: Any, wanted: Any) -> str | None:
  """Where two trees of arrays first differ in names or shapes, in words."""

  def shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
      '/'.join(
        str(getattr(k, 'name', getattr(k, 'key', getattr(k, 'idx', k)))) for k in path
      ): tuple(leaf.shape)
      for path, leaf in leaves
    }

  ours, theirs = shapes(wanted), shapes(saved)
  for name in ours:
    if name not in theirs:
      return f'it lacks {name}'
    if ours[name] != theirs[name]:
      return f'{name} is {theirs[name]}, not {ours[name]}'
  for name in theirs:
    if name not in ours:
      return f'it has {name}, which this model lacks'
  return None
