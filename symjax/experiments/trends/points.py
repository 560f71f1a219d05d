"""Accuracy and consistency of networks: of evaluated ones, or published."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from symjax import records
from symjax.errors import UserError
from symjax.experiments.results import headline_of
from symjax.experiments.workdir import Workdir

PUBLISHED = ('fine_tuned', 'from_scratch')  # Of the anti-aliased networks.
# Of the scale from 0 to 1, on which more is better; name in a record -> in words.
_METRICS = {'test_accuracy': 'accuracy', 'test_miou': 'mean IoU'}
_FILE = Path(__file__).parent / 'zhang2019.json'


@dataclasses.dataclass(frozen=True)
class Point:
  """One network.

  Attributes:
    group: whose trend line it belongs to.
    name: that tells it apart within its group.
    accuracy: share of test images; of segmentations, the mean IoU.
    consistency: share of test images, or of the pixels of one.
    metric: what `accuracy` is, in words.
  """

  group: str
  name: str
  accuracy: float
  consistency: float
  metric: str = 'accuracy'


def published_points(which: str) -> list[Point]:
  """Zhang's VGGs and ResNets with and without anti-aliasing: Fig. 8 of document A.

  The figure names "Zhang (2019)" and not which of the two sets of anti-aliased networks
  it shows; the baselines are the same in both.

  Args:
    which: of `PUBLISHED`: networks fine-tuned from the baselines, or trained from
      scratch.

  Returns:
    Points of the groups 'VGG', 'ResNet', 'anti-aliased VGG', 'anti-aliased ResNet'.

  Raises:
    UserError: there is no such set.
  """
  if which not in PUBLISHED:
    raise UserError(f'no published set {which!r}; choose from {", ".join(PUBLISHED)}')
  table = records.read_object(_FILE, 'baseline', *PUBLISHED)
  return [
    Point(f'{prefix}{family}', name, accuracy / 100, consistency / 100)
    for prefix, part in (('', 'baseline'), ('anti-aliased ', which))
    for family, name, accuracy, consistency in table[part]['rows']
  ]


def evaluated_points(
  folders: Sequence[str | Path], measure: str, by: Sequence[str]
) -> list[Point]:
  """Networks that `run.evaluate` has evaluated.

  Args:
    folders: with an `evaluation.json` each: workdirs of runs, or others.
    measure: which consistency, such as 'crop_shift'.
    by: config keys, such as 'model.padding'; those with the same values form a group.

  Raises:
    UserError: a folder without an evaluation, an evaluation without accuracy or mean
      IoU or without this consistency, or a config without one of the keys.
  """
  return [_point(Workdir(Path(path)), measure, by) for path in folders]


def _point(folder: Workdir, measure: str, by: Sequence[str]) -> Point:
  if not folder.evaluation.exists():
    raise UserError(
      f'{folder.path} has no {folder.evaluation.name} yet: run '
      f'python -m run.evaluate --workdir={folder.path}'
    )
  record = records.read_object(folder.evaluation, 'consistency', 'config')
  metric = headline_of(record)
  if metric not in _METRICS:
    wanted = ' and no '.join(_METRICS.values())
    raise UserError(f'{folder.evaluation} has no {wanted}: it has {metric}')
  known = record['consistency']
  if measure not in known:
    raise UserError(
      f'{folder.evaluation} has no consistency {measure!r}; it has {", ".join(known)}'
    )
  values = []
  for key in by:
    value = record['config']
    for part in key.split('.'):
      if not isinstance(value, dict) or part not in value:
        raise UserError(f'the config of {folder.path} has no key {key!r}')
      value = value[part]
    values.append(value if key == 'model.name' else f'{key.split(".")[-1]}={value}')
  return Point(
    ', '.join(map(str, values)),
    folder.path.name,
    record[metric]['mean'],
    known[measure]['mean'],
    _METRICS[metric],
  )
