"""The results table of `configs/README.md`, from the summaries of finished runs."""

import dataclasses
import json
import shlex
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symjax import records
from symjax.errors import UserError
from symjax.experiments.workdir import Workdir
from symjax.statistics import paired_t_test

_COLUMNS = (
  'command',
  'data',
  'seeds',
  'test',
  'mean symmetry',
  'training',
  'hardware',
  'commit',
)


P_VALUES = (
  'p: paired t tests over seeds, not corrected for their number, of the mean symmetry '
  'after training against that before, and against that of the single kernels.'
)


@dataclasses.dataclass(frozen=True)
class Group:
  """Finished runs that differ in nothing but the seed.

  Attributes:
    config: of all, without the seed.
    summaries: of each, as in `summary.json`.
    profiles: of each, as in `profile.json`.
    evaluations: of each, as in `evaluation.json`; None for those not evaluated.
  """

  config: dict[str, Any]
  summaries: list[dict[str, Any]]
  profiles: list[dict[str, Any]]
  evaluations: list[dict[str, Any] | None]


def read_groups(workdirs: Sequence[str | Path]) -> list[Group]:
  """Finished runs by config, in the order of their folders.

  Raises:
    UserError: a folder holds no finished run.
  """
  groups: dict[str, Group] = {}
  for workdir in workdirs:
    folder = Workdir(Path(workdir))
    if not folder.summary.exists():
      raise UserError(f'{workdir} holds no finished run: it has no summary.json')
    config = records.read_object(folder.config, 'seed')
    config.pop('seed')
    key = json.dumps(config, sort_keys=True)
    group = groups.setdefault(key, Group(config, [], [], []))
    group.summaries.append(records.read_object(folder.summary, 'seed'))
    group.profiles.append(records.read_object(folder.profile, 'layers'))
    evaluated = folder.evaluation.exists()
    group.evaluations.append(
      records.read_object(folder.evaluation, 'consistency') if evaluated else None
    )
  return list(groups.values())


def results_table(groups: Sequence[Group]) -> str:
  """A Markdown table with one row for each config, over its seeds.

  Its p values are those of `P_VALUES`.
  """
  rows = [_row(group) for group in groups]
  return markdown([_COLUMNS, *rows])


def markdown(rows: Sequence[Sequence[str]]) -> str:
  """A Markdown table; the first row is its head."""
  lines = [rows[0], ['---'] * len(rows[0]), *rows[1:]]
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def _row(group: Group) -> tuple[str, ...]:
  runs = group.summaries
  first = runs[0]
  test = headline_of(first)
  minutes = spread([run['train_seconds'] / 60 for run in runs], 1)
  rate = statistics.fmean(run['images_per_second'] for run in runs)
  return (
    f'`{_without_places(first["command"])}`',
    data_of(first),
    ', '.join(str(run['seed']) for run in runs),
    f'{test.removeprefix("test_")} {spread([run[test] for run in runs], 4)}',
    _symmetries(group),
    f'{minutes} min, {rate:.0f} images/s',
    ', '.join(dict.fromkeys(run['hardware'] for run in runs)),
    ', '.join(dict.fromkeys(str(run['commit']) for run in runs)),
  )


def data_of(summary: Mapping[str, Any]) -> str:
  """The data set, and its numbers of training and test examples."""
  counts = f'{summary["train_examples"]:,} / {summary["test_examples"]:,}'
  is_part = 'part' in summary['dataset_note'].lower().split()
  return f'{summary["dataset"]}: {counts}{" (a part of the set)" * is_part}'


def headline_of(summary: Mapping[str, Any]) -> str:
  """The name of the test metric."""
  return next(name for name in summary if name.startswith('test_'))


def _symmetries(group: Group) -> str:
  """Mean symmetry before and after training, if the network has convolutions."""
  before = [run['initial_mean_symmetry'] for run in group.summaries]
  after = [run['mean_symmetry'] for run in group.summaries]
  if None in before or None in after:
    return '-'
  means = f'{spread(before, 2)} → {spread(after, 2)}'
  if len({run['seed'] for run in group.summaries}) < max(2, len(after)):
    return means  # One seed, or one twice: nothing to test.
  singles = [_single_kernels(profile) for profile in group.profiles]
  gained, above = paired_t_test(after, before).p, paired_t_test(after, singles).p
  return (
    f'{means} (p = {gained:.2g}); single kernels {spread(singles, 2)} (p = {above:.2g})'
  )


def _single_kernels(profile: Mapping[str, Any]) -> float:
  """Mean of the score of single kernels, over the layers whose mean kernel has one."""
  return statistics.fmean(
    layer['individual_mean']
    for layer in profile['layers']
    if layer['score'] is not None
  )


def _without_places(command: str) -> str:
  """The command without flags that say where files lie, or which seed it was."""
  kept, words = [], iter(shlex.split(command))
  for word in words:
    flag, joined, _ = word.partition('=')
    if flag.lstrip('-') not in ('workdir', 'data_dir', 'manual_dir', 'config.seed'):
      kept.append(word)
    elif not joined:
      next(words, None)  # The value is the next word.
  return shlex.join(kept)


def spread(values: Sequence[float], digits: int) -> str:
  """Mean, and sample standard deviation where there are several values."""
  mean = f'{statistics.fmean(values):.{digits}f}'
  if len(values) < 2:
    return mean
  return f'{mean} ± {statistics.stdev(values):.{digits}f}'
