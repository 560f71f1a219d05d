"""Kill a small training at random times, and see that nothing is lost.

    python -m run.soak --workdir=DIR [--kills=20] [--seconds=600] [--seed=0]

It trains the smoke-sized digits once in peace and then under kills, half files and
restarts, reads every file at every kill, and compares the last states bit for bit.
Exits with status 1 if anything was lost.
"""

import sys

from absl import flags

from run import command
from symjax.experiments.soak import describe, soak

_WORKDIR = flags.DEFINE_string('workdir', None, 'an empty folder', required=True)
_KILLS = flags.DEFINE_integer('kills', 20, 'to stop after', lower_bound=1)
_SECONDS = flags.DEFINE_float('seconds', 600.0, 'to stop after', lower_bound=0.0)
_SEED = flags.DEFINE_integer('seed', 0, 'of the kills', lower_bound=0)
_TRAIN = (
  sys.executable,
  '-m',
  'run.train',
  '--config=configs/digits_vgg.py:smoke',
  '--config.model.stages=2',
  '--config.train.epochs=25',
  '--config.train.checkpoint_every=3',
)


def main() -> None:
  """Soaks, and says what was lost."""
  workdir = command.local_folder(_WORKDIR.value)
  record = soak(_TRAIN, workdir, _KILLS.value, _SECONDS.value, _SEED.value)
  print(f'{describe(record)}\n\n{workdir} holds soak.json')
  if record['problems']:
    sys.exit(1)


if __name__ == '__main__':
  command.run(main)
