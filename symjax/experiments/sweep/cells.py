"""The cells of a sweep: every config with every combination of the grid's values."""

import dataclasses
import itertools
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from symjax.errors import UserError
from symjax.experiments.workdir import default_name


@dataclasses.dataclass(frozen=True)
class Cell:
  """One run of a sweep.

  Attributes:
    name: of its folder, as `run.train` would name it.
    settings: what sets it apart from cells that are no other seed of the same: `config`
      and keys of the grid, those that have several values.
    config: plain values.
    command: that trains it alone.
  """

  name: str
  settings: dict[str, Any]
  config: dict[str, Any]
  command: str

  def describe(self) -> str:
    """The cell in words."""
    words = [f'{key}={value}' for key, value in self.settings.items()]
    return ', '.join([*words, f'seed={self.config["seed"]}'])


def make_cells(
  files: Sequence[str],
  grid: Mapping[str, Sequence[str]],
  read_config: Callable[[str, Mapping[str, str]], dict[str, Any]],
) -> list[Cell]:
  """The cells in order: configs first, then the keys of the grid.

  Args:
    files: of configs, each `FILE.py` or `FILE.py:variant`.
    grid: config key -> values, as `parse_grid` gives them.
    read_config: (file, {key: value}) -> the config with these values, or a UserError
      that names the key which it does not have.

  Raises:
    UserError: a config given twice, or what `read_config` raises.
  """
  if len(set(files)) < len(files):
    raise UserError(f'--config has one twice: {", ".join(files)}')
  several = [key for key, values in grid.items() if len(values) > 1 and key != 'seed']
  cells = []
  for file, values in itertools.product(files, itertools.product(*grid.values())):
    overrides = dict(zip(grid, values, strict=True))
    config = read_config(file, overrides)
    path, _, variant = file.partition(':')
    settings: dict[str, Any] = {}
    if len(files) > 1:
      settings['config'] = Path(path).stem + (f':{variant}' if variant else '')
    settings |= {key: value_at(config, key) for key in several}
    flags = [f'--config.{key}={value}' for key, value in overrides.items()]
    cells.append(
      Cell(
        default_name(path, variant, overrides),
        settings,
        config,
        shlex.join(['python', '-m', 'run.train', f'--config={file}', *flags]),
      )
    )
  return cells


def value_at(config: Mapping[str, Any], key: str) -> Any:
  """The value under a dotted key."""
  value: Any = config
  for part in key.split('.'):
    value = value[part]
  return value
