"""Table 2 of "Understanding symmetries in deep networks", whole, with p-values.

    python -m run.table2 [--runs=20] [--methods=b-sgd,un,sm] [--loss_reduction=mean]

Run again with the same protocol it trains only what is missing. README.md has the
numbers.
"""

import dataclasses
import os
import shlex
import sys

import jax
from absl import flags

from run import command
from symjax import data
from symjax.experiments.table2 import METHODS, REDUCTIONS, Protocol, table2
from symjax.experiments.workdir import default_name

command.define_data()
_RUNS = flags.DEFINE_integer('runs', 10, 'of each depth and method', lower_bound=2)
_SEED = flags.DEFINE_integer('seed', 0, 'of all runs', lower_bound=0)
_REDUCTION = flags.DEFINE_enum(
  'loss_reduction', 'sum', REDUCTIONS, 'of the loss over a batch'
)
_DEPTHS = flags.DEFINE_list('depths', ['2', '4'], 'of the networks')
_METHODS = flags.DEFINE_list(
  'methods', ['b-sgd', 'un'], f'compared with the first; of {", ".join(METHODS)}'
)
_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'default: runs/table2[-hash of --runs, --seed, --loss_reduction]'
)


def main() -> None:
  """Trains, and prints the table."""
  # A run is too small for two cores: let each core have runs of its own.
  jax.config.update('jax_num_cpu_devices', os.cpu_count())
  protocol = Protocol(
    runs=_RUNS.value, seed=_SEED.value, loss_reduction=_REDUCTION.value
  )
  usual = dataclasses.asdict(Protocol())
  changed = {k: v for k, v in dataclasses.asdict(protocol).items() if v != usual[k]}
  workdir = _WORKDIR.value or f'runs/{default_name("table2", "", changed)}'
  folders = command.data_folders()
  text = table2(
    protocol,
    command.integers('depths', _DEPTHS.value),
    _METHODS.value,
    command.local_folder(workdir),
    data.load('mnist', 'train', *folders),
    data.load('mnist', 'test', *folders),
    command=shlex.join(['python', '-m', 'run.table2', *sys.argv[1:]]),
  )
  print(f'{text}\n\n{workdir} holds table2.json, table2.md and figures/table2.png')


if __name__ == '__main__':
  command.run(main)
