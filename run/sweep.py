r"""Train every combination of configs and values, and say which differ.

    python -m run.sweep --config=configs/cifar10_vgg.py \
        --grid=model.padding=zero,reflect --grid=seed=0,1,2
    python -m run.sweep --workdirs=runs/one,runs/other

`--config` and `--grid` may be given several times; a key of one value is an override.
Run again it trains only what is missing. `--workdirs` compares runs that exist.
`--measures` compares more than the test metric: `mean_symmetry`, `strided_symmetry`,
`strided_skew`, ..., and any consistency of runs that `run.evaluate` evaluated.
"""

import os
import shlex
import sys
from pathlib import Path

import jax
from absl import flags

from run import command
from symjax.errors import UserError
from symjax.experiments.sweep import (
  Report,
  compare_workdirs,
  make_cells,
  parse_grid,
  sweep,
  write_report,
)
from symjax.experiments.workdir import default_name

command.define_data()
_CONFIGS = flags.DEFINE_multi_string('config', [], 'FILE.py[:variant]; several times')
_GRID = flags.DEFINE_multi_string('grid', [], 'KEY=VALUE,VALUE; several times')
_WORKDIRS = flags.DEFINE_list('workdirs', [], 'of run.train, to compare')
_MEASURES = flags.DEFINE_list('measures', [], 'to compare beside the test metric')
_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'default: runs/sweep-<hash of --config and --grid, or --workdirs>'
)


def main() -> None:
  """Trains and compares."""
  given = {'config': _CONFIGS.value, 'grid': _GRID.value, 'workdirs': _WORKDIRS.value}
  default = f'runs/{default_name("sweep", "", given)}'
  workdir = command.local_folder(_WORKDIR.value or default)
  found = _run(workdir, shlex.join(['python', '-m', 'run.sweep', *sys.argv[1:]]))
  if found is None:
    print('stopped by a signal; the same command goes on')
    return
  print(f'{found.text}\n\n{workdir} holds sweep.json, sweep.md and figures/')
  if found.failures:
    raise UserError(f'{len(found.failures)} failed: {"; ".join(found.failures)}')


def _run(workdir: str, line: str) -> Report | None:
  if _WORKDIRS.value:
    if _CONFIGS.value or _GRID.value:
      raise UserError('--workdirs compares what exists; leave out --config and --grid')
    rows = compare_workdirs(_WORKDIRS.value, _MEASURES.value)
    return write_report(rows, Path(workdir), line, _MEASURES.value)
  if not _CONFIGS.value:
    raise UserError('give --config and --grid to train, or --workdirs to compare')
  if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
    # Seeds share their programs of training and evaluation.
    cache = Path(workdir).absolute() / 'compiled'
    jax.config.update('jax_compilation_cache_dir', str(cache))
  grid = parse_grid(_GRID.value)
  cells = make_cells(_CONFIGS.value, grid, command.read_config)
  return sweep(
    cells,
    workdir,
    *command.data_folders(),
    command=line,
    measures=_MEASURES.value,
  )


if __name__ == '__main__':
  command.run(main)
