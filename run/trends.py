r"""Consistency against accuracy over many networks, with trend lines (A, Fig. 8).

    python -m run.trends --workdirs=runs/a,runs/b,... --by=model.padding --out=DIR
    python -m run.trends --workdirs=... --measure=horizontal_flip --out=DIR
    python -m run.trends --published=fine_tuned --out=DIR

The workdirs, or other folders, hold what `run.evaluate` wrote; of segmentations the
accuracy is their mean IoU. `--published` draws Zhang's networks for ImageNet: the
anti-aliased ones `fine_tuned`, or trained `from_scratch`.
"""

from absl import flags

from run import command
from symjax.errors import UserError
from symjax.experiments.trends import (
  PUBLISHED,
  evaluated_points,
  published_points,
  report_trends,
  trends_table,
)

_WORKDIRS = flags.DEFINE_list('workdirs', [], 'with an evaluation.json each')
_BY = flags.DEFINE_list('by', ['model.name'], 'config keys that tell groups apart')
_MEASURE = flags.DEFINE_string('measure', 'crop_shift', 'which consistency')
_PUBLISHED = flags.DEFINE_enum('published', None, PUBLISHED, 'in place of --workdirs')
_HOW = {'fine_tuned': 'fine-tuned', 'from_scratch': 'trained from scratch'}
_OUT = flags.DEFINE_string('out', None, 'where to write', required=True)


def main() -> None:
  """Draws the figure, and prints which group lies above which."""
  if bool(_WORKDIRS.value) == bool(_PUBLISHED.value):
    raise UserError('give either --workdirs, with evaluations, or --published')
  if _PUBLISHED.value:
    points = published_points(_PUBLISHED.value)
    source = (
      f"Zhang's networks for ImageNet, anti-aliased ones {_HOW[_PUBLISHED.value]}"
    )
    record = report_trends(points, _OUT.value, 'crop_shift', source)
  else:
    points = evaluated_points(_WORKDIRS.value, _MEASURE.value, _BY.value)
    source = f'{len(points)} networks by {", ".join(_BY.value)}'
    record = report_trends(points, _OUT.value, _MEASURE.value, source)
  print(trends_table(record))
  print(f'\n{_OUT.value} holds trends.json and figures/trends.png')


if __name__ == '__main__':
  command.run(main)
