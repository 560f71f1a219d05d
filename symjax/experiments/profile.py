"""The symmetry profile of a run's newest checkpoint."""

from pathlib import Path

from symjax import records
from symjax.experiments.filters import draw_filters
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
  config = folder.read_config()
  table = records.read_object(folder.layers, 'strides', 'downsampling')
  with precision(config), folder.newest_checkpoint() as (store, step):
    params = store.restore_params(step)
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
  draw_filters(params, config, target.figures, folder.describe(step))
  return step
