"""Checkpoints that a crash, a full disk or a bad copy left in pieces."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
import tensorstore

from symjax.errors import UserError

_DRIVERS = {'.zarray': ('zarr',), 'zarr.json': ('zarr3',)}  # By the name of the record.
_ALONE = ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0})


def saved_steps(folder: Path) -> list[int]:
  """The steps of the checkpoints in a folder, oldest first, whole or not."""
  if not folder.is_dir():
    return []
  return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())


def find_damaged(folder: Path) -> dict[int, str]:
  """The checkpoints that cannot be restored.

  Every one is read to its last array. Process 0 may call it alone.

  Args:
    folder: of a `CheckpointStore`; it need not exist.

  Returns:
    Step -> what is wrong with it.
  """
  damaged = {}
  for step in saved_steps(folder):
    path = folder.resolve() / str(step)
    try:
      _require_files(path)
      _read(path)
    # A damaged file can end in any exception of the libraries that read it.
    except Exception as error:
      damaged[step] = reason(error)
  return damaged


def set_aside(folder: Path) -> str | None:
  """Takes damaged checkpoints out of the way of those that are whole.

  Step `8` becomes `8.damaged`, which no `CheckpointStore` looks at; nothing is deleted.
  Process 0 of a run calls it before any process opens the store, so that all go on
  from the same step.

  Args:
    folder: of a `CheckpointStore`; it need not exist.

  Returns:
    In one line which steps are damaged, why, and which one is gone on from; None if
    all are whole.

  Raises:
    UserError: none is whole. Nothing is touched then.
    OSError: the folder cannot be written.
  """
  damaged = find_damaged(folder)
  if not damaged:
    return None
  steps = saved_steps(folder)
  whole = [step for step in steps if step not in damaged]
  what = f'in {folder} {_describe(damaged)}'
  if not whole:
    raise UserError(
      f'{what}; no checkpoint is whole: put one back, or train anew in another '
      '--workdir'
    )
  for step in damaged:
    (folder / str(step)).rename(_free_name(folder, step))
  return f'{what}; set aside as *.damaged, going on from step {whole[-1]}'


def reason(error: Exception) -> str:
  """The first line of an error, or its kind."""
  return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _describe(damaged: Mapping[int, str]) -> str:
  return ', '.join(
    f'step {step} is damaged ({why})' for step, why in sorted(damaged.items())
  )


def _free_name(folder: Path, step: int) -> Path:
  """Another crash may have damaged the same step before."""
  path = folder / f'{step}.damaged'
  count = 1
  while path.exists():
    count += 1
    path = folder / f'{step}.damaged-{count}'
  return path


def _require_files(path: Path) -> None:
  """Reads the files of a checkpoint, array by array.

  Orbax would find the same faults, but in many tasks at once: those that fail after the
  first shout on stderr, and whenever they are collected.

  Raises:
    ValueError: one is missing, cut short or empty.
  """
  records = [path / 'state' / '_METADATA', path / 'progress' / 'metadata']
  records += path.glob('state/_sharding')
  records += path.glob('state/array_metadatas/*')
  records += path.glob('metrics/metrics')
  for file in records:
    try:
      json.loads(file.read_text())
    except (OSError, ValueError):
      raise ValueError(f'{file.relative_to(path)} is missing or torn') from None
  store = {'driver': 'ocdbt', 'base': f'file://{path / "state"}/'}
  try:
    names = tensorstore.KvStore.open(store).result().list().result()
    arrays = [
      (folder, driver)
      for folder, _, leaf in (name.decode().rpartition('/') for name in names)
      for driver in _DRIVERS.get(leaf, ())
    ]
    for folder, driver in arrays:
      # A value whose file is gone reads as empty; as a part of an array it is an error.
      array = store | {'path': f'{folder}/'}
      spec = {'driver': driver, 'kvstore': array, 'fill_missing_data_reads': False}
      tensorstore.open(spec, open=True).result().read().result()
  except ValueError:
    raise ValueError('files of its arrays are missing or cut short') from None
  if not arrays:
    raise ValueError('files of its arrays are missing')


def _read(path: Path) -> None:
  """Reads a whole checkpoint.

  Raises:
    Exception: of whatever kind, if it cannot be read.
  """
  handler = ocp.CompositeCheckpointHandler(
    state=ocp.StandardCheckpointHandler(multiprocessing_options=_ALONE),
    progress=ocp.JsonCheckpointHandler(multiprocessing_options=_ALONE),
    metrics=ocp.JsonCheckpointHandler('metrics', multiprocessing_options=_ALONE),
  )
  local = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
  with ocp.Checkpointer(handler, multiprocessing_options=_ALONE) as checkpointer:
    metadata: Any = checkpointer.metadata(path).item_metadata
    like = jax.tree.map(
      lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=local),
      metadata['state'].tree,
    )
    wanted: dict[str, ocp.args.CheckpointArgs] = {
      'state': ocp.args.StandardRestore(like),
      'progress': ocp.args.JsonRestore(),
    }
    if (path / 'metrics').exists():  # A checkpoint without a score has none.
      wanted['metrics'] = ocp.args.JsonRestore()
    checkpointer.restore(path, args=ocp.args.Composite(**wanted))
