"""Which rows of a sweep differ: paired t tests, corrected for their number."""

import collections
import dataclasses
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from symjax.errors import UserError
from symjax.experiments.results import headline_of, read_groups
from symjax.experiments.sweep.measures import measured_runs, strided_layers
from symjax.statistics import TTest, holm, paired_t_test

_AXIS_VALUES = 3  # With fewer there is no line to draw.


@dataclasses.dataclass(frozen=True)
class Row:
  """Runs that differ in nothing but the seed.

  Attributes:
    settings: what sets it apart from other rows, by config key.
    runs: seed -> what `summary.json` holds, and measures of `measures.py` by name.
    failures: seed -> why there is no run.
  """

  settings: dict[str, Any]
  runs: dict[int, dict[str, Any]]
  failures: dict[int, str]

  def label(self, *without: str | None) -> str:
    """The settings in words, some of them left out."""
    words = [f'{k}={v}' for k, v in self.settings.items() if k not in without]
    return ', '.join(words).removeprefix('config=')


@dataclasses.dataclass(frozen=True)
class Comparison:
  """A row against another one.

  Attributes:
    against: the place of the other row.
    test: of this row's results minus the other's, over the seeds of both.
    p_holm: the p value after Holm's correction of all the sweep's.
  """

  against: int
  test: TTest
  p_holm: float


def compare_workdirs(
  workdirs: Sequence[str | Path], measures: Sequence[str] = ()
) -> list[Row]:
  """The rows of finished runs, named by the config keys in which they differ.

  Args:
    workdirs: of the runs.
    measures: names of what to measure beside the test metric, see `measures.py`.

  Raises:
    UserError: a folder holds no finished run, or a run does not have a measure.
  """
  groups = read_groups(workdirs)
  strided = strided_layers(groups)
  flat = [dict(_flat(group.config)) for group in groups]
  keys = dict.fromkeys(key for config in flat for key in config)
  differing = [key for key in keys if len({repr(c.get(key)) for c in flat}) > 1]
  return [
    Row(
      {key: config.get(key) for key in differing},
      measured_runs(group, measures, strided),
      {},
    )
    for group, config in zip(groups, flat, strict=True)
  ]


def metric_of(rows: Sequence[Row]) -> str:
  """The name of the test metric that all runs have.

  Raises:
    UserError: they have different ones.
  """
  names = {headline_of(run): None for row in rows for run in row.runs.values()}
  if len(names) > 1:
    raise UserError(f'runs of different metrics cannot be compared: {", ".join(names)}')
  return next(iter(names))


def axis_of(rows: Sequence[Row]) -> str | None:
  """The first key with three numbers or more: the x axis of the figure.

  A key is none where rows change one thing at a time: where those that share their
  other settings with no row all have the first row's value.
  """
  for key in rows[0].settings:
    values = [row.settings[key] for row in rows]
    if not all(map(_is_number, values)) or len(set(values)) < _AXIS_VALUES:
      continue
    lines = collections.Counter(row.label(key) for row in rows)
    alone = {row.settings[key] for row in rows if lines[row.label(key)] == 1}
    if alone != {values[0]}:
      return key
  return None


def compare(rows: Sequence[Row], metric: str | None = None) -> list[Comparison | None]:
  """Each row's metric, by default that of the test, against that of the first row.

  Where an axis is swept and there are several rows at each of its values, each is
  compared with the first one at the same value: the others are about another question.
  A row has no comparison with fewer than two seeds in common.
  """
  metric, axis = metric or metric_of(rows), axis_of(rows)
  first_at: dict[Hashable, int] = {}
  places = [row.settings.get(axis) if axis else None for row in rows]
  if len(set(places)) == len(places):  # One line: the axis itself is the question.
    places = [None] * len(places)
  tests: dict[int, tuple[int, TTest]] = {}
  for index, (row, place) in enumerate(zip(rows, places, strict=True)):
    against = first_at.setdefault(place, index)
    reference = rows[against].runs
    common = [seed for seed in row.runs if seed in reference]
    if against != index and len(common) > 1:
      ours = [row.runs[seed][metric] for seed in common]
      theirs = [reference[seed][metric] for seed in common]
      tests[index] = against, paired_t_test(ours, theirs)
  adjusted = dict(zip(tests, holm([t.p for _, t in tests.values()]), strict=True))
  return [
    Comparison(*tests[i], adjusted[i]) if i in tests else None for i in range(len(rows))
  ]


def _flat(config: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
  for key, value in config.items():
    if isinstance(value, Mapping):
      yield from _flat(value, f'{prefix}{key}.')
    else:
      yield f'{prefix}{key}', value


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool)
