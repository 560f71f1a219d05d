r"""How good and how consistent a network is: a table, two figures, evaluation.json.

    python -m run.evaluate --workdir=runs/cifar10_vgg [--out=DIR]
    python -m run.evaluate --weights=FILE --config=configs/cifar10_resnet.py --out=DIR
    python -m run.evaluate --workdir=runs/camvid_fcn --shift=0,8 --shift=-5,3

On the test split: accuracy, and the share of predictions that flips, turns, crops of
one scene and circular shifts leave as they are, with confidence intervals. Of a
segmentation: mean IoU, and the share of pixels on which the predictions of the image
and of the flipped, turned or shifted one agree.
"""

from absl import flags

from run import command
from symjax.errors import UserError
from symjax.experiments.evaluation import evaluation_table, report_evaluation
from symjax.experiments.subject import subject_of_run, subject_of_weights

command.define_config(default='configs/digits_vgg.py')
command.define_data()
_WORKDIR = flags.DEFINE_string('workdir', None, 'of run.train, for its checkpoint')
_WEIGHTS = flags.DEFINE_string('weights', None, 'file for the network of --config')
_OUT = flags.DEFINE_string('out', None, 'where to write; default: the workdir')
_SHIFTS = flags.DEFINE_multi_string(
  'shift', None, 'DOWN,RIGHT in pixels, for a segmentation; may be given several times'
)


def main() -> None:
  """Evaluates the newest checkpoint of a run, or weights from anywhere."""
  workdir, weights, places = _WORKDIR.value, _WEIGHTS.value, command.data_folders()
  out = _OUT.value or workdir
  if workdir and not weights and not command.is_configured():
    opened = subject_of_run(workdir, *places)
  elif weights and not workdir and command.is_configured():
    opened = subject_of_weights(command.config(), weights, *places)
  else:
    raise UserError('give --workdir, of a run, or --weights with --config')
  if out is None:
    raise UserError('--weights names no folder to write to: give --out=DIR')
  shifts = [command.shift(text) for text in _SHIFTS.value] if _SHIFTS.value else None
  with opened as subject:
    record = report_evaluation(subject, out, shifts)
  print(evaluation_table(record))
  print(f'{out} holds evaluation.json, and figures/ of it')


if __name__ == '__main__':
  command.run(main)
