"""Whether every cell of a sweep can be trained, found out before the first is."""

import json
from collections.abc import Sequence
from pathlib import Path

import jax

from symjax.data import Dataset, Stream
from symjax.errors import UserError
from symjax.experiments.data import load_splits
from symjax.experiments.setup import build_for, precision
from symjax.experiments.sweep.cells import Cell
from symjax.experiments.workdir import Workdir
from symjax.training import devices


def check(
  cells: Sequence[Cell], folder: Path, data_dir: str | None, manual_dir: str | None
) -> None:
  """Builds each cell without computing anything.

  Args:
    cells: of one sweep; those that are complete are not built again.
    folder: that theirs lie in.
    data_dir: where TFDS keeps its data sets; None is TFDS's own default.
    manual_dir: where files that were downloaded by hand lie.

  Raises:
    UserError: a cell that cannot be trained, by what sets it apart.
  """
  loaded: dict[str, Dataset | Stream] = {}  # By their group in the config.
  built = set()
  for cell in cells:
    workdir = Workdir(folder / cell.name)
    data = json.dumps(cell.config['data'])
    key = json.dumps(cell.config | {'seed': 0})
    try:
      workdir.require(cell.config)
      if workdir.summary.exists() or key in built:
        continue
      if data not in loaded:
        splits = load_splits(cell.config['data'], data_dir, manual_dir)
        loaded[data] = splits.train
      with precision(cell.config):
        train = cell.config['train']
        devices.make_mesh(train['batch_size'], microbatches=train['microbatches'])
        jax.eval_shape(build_for(cell.config, loaded[data]).create_state)
    except UserError as error:
      raise UserError(f'{cell.describe()}: {error}') from error
    built.add(key)
