"""The results table of `configs/README.md`, from the summaries of finished runs."""

import json
import shlex
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symjax import records
from symjax.errors import UserError
from symjax.experiments.workdir import Workdir

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


def results_table(workdirs: Sequence[str | Path]) -> str:
  """A Markdown table with one row for each config, over its seeds.

  Args:
    workdirs: of finished runs; those that differ in nothing but the seed share a row.

  Raises:
    UserError: a folder holds no finished run.
  """
  groups: dict[str, list[dict[str, Any]]] = {}
  for workdir in workdirs:
    folder = Workdir(Path(workdir))
    if not folder.summary.exists():
      raise UserError(f'{workdir} holds no finished run: it has no summary.json')
    config = records.read_json(folder.config)
    config.pop('seed')
    key = json.dumps(config, sort_keys=True)
    groups.setdefault(key, []).append(records.read_json(folder.summary))
  rows = [_COLUMNS, tuple('---' for _ in _COLUMNS), *map(_row, groups.values())]
  return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def _row(runs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
  first = runs[0]
  test = next(name for name in first if name.startswith('test_'))
  data = f'{first["dataset"]}: {first["train_examples"]:,} / {first["test_examples"]:,}'
  if 'part' in first['dataset_note'].lower().split():
    data += ' (a part of the set)'
  minutes = _spread([run['train_seconds'] / 60 for run in runs], 1)
  rate = statistics.fmean(run['images_per_second'] for run in runs)
  return (
    f'`{_without_places(first["command"])}`',
    data,
    ', '.join(str(run['seed']) for run in runs),
    f'{test.removeprefix("test_")} {_spread([run[test] for run in runs], 4)}',
    _symmetries(runs),
    f'{minutes} min, {rate:.0f} images/s',
    ', '.join(dict.fromkeys(run['hardware'] for run in runs)),
    ', '.join(dict.fromkeys(str(run['commit']) for run in runs)),
  )


def _symmetries(runs: Sequence[Mapping[str, Any]]) -> str:
  """Mean symmetry before and after training, if the network has convolutions."""
  before = [run['initial_mean_symmetry'] for run in runs]
  after = [run['mean_symmetry'] for run in runs]
  if None in before or None in after:
    return '-'
  return f'{_spread(before, 2)} → {_spread(after, 2)}'


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


def _spread(values: Sequence[float], digits: int) -> str:
  """Mean, and sample standard deviation where there are several values."""
  mean = f'{statistics.fmean(values):.{digits}f}'
  if len(values) < 2:
    return mean
  return f'{mean} ± {statistics.stdev(values):.{digits}f}'
