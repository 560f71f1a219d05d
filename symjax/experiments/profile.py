"""The symmetry profile of a run's newest checkpoint."""

from pathlib import Path

from symjax import records
from symjax.checkpoints import CheckpointStore
from symjax.errors import UserError
from symjax.experiments.presentation import measure, present
from symjax.experiments.setup import precision
from symjax.experiments.workdir import Workdir


def profile_workdir(workdir: str | Path, out: str | Path) -> int:
  """Writes `profile.json` and `figures/`, and prints the table.

  Args:
    workdir: of a run, finished or not.
    out: folder to write to, made if need be.

  Returns:
    The step of the checkpoint.

  Raises:
    UserError: the folder holds no run, or no checkpoint yet.
  """
  folder = Workdir(Path(workdir))
  if not folder.config.exists():
    raise UserError(f'{workdir} is no workdir of run.train: it has no config.json')
  config = records.read_object(folder.config, 'model', 'data', 'seed')
  table = records.read_object(folder.layers, 'strides', 'downsampling')
  if not folder.checkpoints.exists():
    raise UserError(f'{workdir} has no checkpoint yet; train for longer')
  with precision(config):
    store = CheckpointStore(folder.checkpoints, read_only=True)
    try:
      step = store.latest_step()
      if step is None:
        raise UserError(f'{workdir} has no checkpoint yet; train for longer')
      params = store.restore_params(step)
    finally:
      store.close()
    profile, shapes = measure(params, table['strides'])

  target = Workdir(Path(out))
  target.path.mkdir(parents=True, exist_ok=True)
  records.write_json(target.profile, profile)
  present(
    profile,
    shapes,
    table['downsampling'],
    [row for row in folder.metrics.read() if row['step'] <= step],
    target.figures,
    folder.path.name,
    folder.describe(step),
  )
  return step
