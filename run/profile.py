"""Measure the symmetry of a run's checkpoint: a table, five figures, profile.json.

python -m run.profile --workdir=runs/digits_vgg [--out=DIR]
"""

from absl import flags

from run import command
from symjax.experiments.profile import profile_workdir

_WORKDIR = flags.DEFINE_string('workdir', None, 'of run.train', required=True)
_OUT = flags.DEFINE_string('out', None, 'where to write; default: the workdir')


def main() -> None:
  """Profiles the newest checkpoint."""
  step = profile_workdir(_WORKDIR.value, _OUT.value or _WORKDIR.value)
  print(f'profile of {_WORKDIR.value} at step {step}: {_OUT.value or _WORKDIR.value}')


if __name__ == '__main__':
  command.run(main)
