"""Which layer of a network breaks which symmetry: a table, a figure, a JSON file.

python -m run.equivariance --workdir=runs/cifar10_vgg [--out=DIR]
python -m run.equivariance --config=configs/cifar10_vgg.py --out=DIR  # Before training.
"""

from absl import flags

from run import command
from symjax.errors import UserError
from symjax.experiments.equivariance import (
  equivariance_table,
  report_equivariance,
  verdict,
)
from symjax.experiments.subject import subject_of_run, subject_of_start

command.define_config(default='configs/digits_vgg.py')
command.define_data()
_WORKDIR = flags.DEFINE_string('workdir', None, 'of run.train, for its checkpoint')
_OUT = flags.DEFINE_string('out', None, 'where to write; default: the workdir')


def main() -> None:
  """Measures a run, or a network before training."""
  workdir, places = _WORKDIR.value, command.data_folders()
  if (workdir is None) != command.is_configured():
    raise UserError('give either --workdir, of a run, or --config, of a new network')
  out = _OUT.value or workdir
  if out is None:
    raise UserError('--config alone names no folder to write to: give --out=DIR')
  if workdir is None:
    opened = subject_of_start(command.config(), *places)
  else:
    opened = subject_of_run(workdir, *places)
  with opened as subject:
    found = report_equivariance(subject, out)
  print(equivariance_table(found))
  print(f'{verdict(found)}\n{out} holds equivariance.json and figures/equivariance.png')


if __name__ == '__main__':
  command.run(main)
