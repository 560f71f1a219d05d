"""The newest checkpoint of a workdir of `run.train` as arrays by name."""

from pathlib import Path

import jax
import numpy as np

from symjax.checkpoints.store import CheckpointStore
from symjax.errors import UserError


def read_workdir(path: Path) -> dict[str, np.ndarray]:
  """Parameters and BatchNorm's statistics, as `params/conv1/kernel`.

  They are the moving averages of a run with `train.ema_decay`.

  Raises:
    UserError: the folder has no checkpoint, or it cannot be read.
  """
  folder = path / 'checkpoints'
  if not folder.is_dir():
    raise UserError(f'{path} is no workdir of run.train: it has no checkpoints')
  store = CheckpointStore(folder, read_only=True)
  try:
    step = store.latest_step()
    if step is None:
      raise UserError(f'{path} has no checkpoint yet; train for longer')
    variables = store.restore_variables(step)
  finally:
    store.close()
  leaves = jax.tree_util.tree_leaves_with_path(variables)
  keystr = jax.tree_util.keystr
  return {keystr(keys, simple=True, separator='/'): leaf for keys, leaf in leaves}
