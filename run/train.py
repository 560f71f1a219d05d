"""Train a network, or go on training it.

    python -m run.train --config=configs/digits_vgg.py [--config.group.key=value ...]

With --init_weights=FILE it starts from weights of PyTorch, safetensors or symjax. Run
again on the same workdir it resumes, or says that it is complete.
"""

import shlex
import sys

import jax
from absl import flags

from run import command
from symjax.experiments.summary import describe
from symjax.experiments.train import train
from symjax.training.devices import join_processes
from symjax.training.peers import watched

command.define_config()
command.define_data()
command.define_processes()
_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'default: runs/<config>[-variant][-hash of overrides]'
)
_INIT_WEIGHTS = flags.DEFINE_string(
  'init_weights', None, 'file or workdir whose weights the training starts from'
)


def main() -> None:
  """Trains, and says how it ended."""
  join_processes(*command.processes())
  own = {'init_weights': _INIT_WEIGHTS.value} if _INIT_WEIGHTS.value else {}
  workdir = command.local_folder(_WORKDIR.value or command.default_workdir(**own))
  with watched():
    summary = train(
      command.config(),
      workdir,
      *command.data_folders(),
      command=shlex.join(['python', '-m', 'run.train', *sys.argv[1:]]),
      init_weights=_INIT_WEIGHTS.value,
    )
  if summary and jax.process_index() == 0:
    print(f'{workdir} is complete: {describe(summary)}')


if __name__ == '__main__':
  command.run(main)
