"""Train a network, or go on training it.

    python -m run.train --config=configs/digits_vgg.py [--config.group.key=value ...]

Run again on the same workdir it resumes, or says that it is complete.
"""

import shlex
import sys

import jax
from absl import flags

from run import command
from symjax.experiments.summary import describe
from symjax.experiments.train import train
from symjax.training.devices import join_processes

command.define_config()
command.define_data()
command.define_processes()
_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'default: runs/<config>[-variant][-hash of overrides]'
)


def main() -> None:
  """Trains, and says how it ended."""
  join_processes(*command.processes())
  workdir = command.local_folder(_WORKDIR.value or command.default_workdir())
  summary = train(
    command.config(),
    workdir,
    *command.data_folders(),
    command=shlex.join(['python', '-m', 'run.train', *sys.argv[1:]]),
  )
  if summary and jax.process_index() == 0:
    print(f'{workdir} is complete: {describe(summary)}')


if __name__ == '__main__':
  command.run(main)
