"""How good and how consistent a network is: a table, two figures, evaluation.json.

python -m run.evaluate --workdir=runs/cifar10_vgg [--out=DIR]

On the test split: accuracy, and the share of predictions that flips, turns, crops of
one scene and circular shifts leave as they are, with confidence intervals.
"""

from absl import flags

from run import command
from symjax.experiments.evaluation import evaluation_table, report_evaluation
from symjax.experiments.subject import subject_of_run

command.define_data()
_WORKDIR = flags.DEFINE_string('workdir', None, 'of run.train', required=True)
_OUT = flags.DEFINE_string('out', None, 'where to write; default: the workdir')


def main() -> None:
  """Evaluates the newest checkpoint."""
  out = _OUT.value or _WORKDIR.value
  with subject_of_run(_WORKDIR.value, *command.data_folders()) as subject:
    record = report_evaluation(subject, out)
  print(evaluation_table(record))
  print(f'{out} holds evaluation.json, figures/consistency.png and diagonal_shift.png')


if __name__ == '__main__':
  command.run(main)
