"""What a sweep leaves: a table, a figure, one JSON file."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symjax import figures, records
from symjax.experiments.comparison import TEST_COLUMNS, difference_and_p
from symjax.experiments.results import data_of, markdown, spread
from symjax.experiments.sweep.compare import (
  Comparison,
  Row,
  axis_of,
  compare,
  metric_of,
)
from symjax.experiments.sweep.measures import words

_DIGITS = 4


@dataclasses.dataclass(frozen=True)
class Report:
  """What a sweep found.

  Attributes:
    text: the table as Markdown, and what it takes to read it.
    failures: of the cells that could not be trained, in words.
  """

  text: str
  failures: list[str]


def write_report(
  rows: Sequence[Row],
  folder: Path,
  command: str | None = None,
  measures: Sequence[str] = (),
) -> Report:
  """Compares rows, and writes `sweep.json`, `sweep.md` and figures.

  Each measure has a table and a figure of its own, and each table is a family of tests.

  Args:
    rows: one of which has a run.
    folder: to write to; made if need be.
    command: that asked for this.
    measures: names of what to compare beside the test metric; the rows have them.

  Raises:
    UserError: runs of different metrics.
    OSError: a file cannot be written.
  """
  metric, axis = metric_of(rows), axis_of(rows)
  comparisons = {name: compare(rows, name) for name in (metric, *measures)}
  failures = [
    ', '.join(filter(None, [row.label(), f'seed={seed}'])) + f': {why}'
    for row in rows
    for seed, why in row.failures.items()
  ]
  tables = [_table(rows, comparisons[metric], metric)]
  tables += [_measure_table(rows, comparisons[name], name) for name in measures]
  notes = _notes(rows, comparisons, failures)
  text = '\n\n'.join([*tables, ' '.join(notes)])
  folder.mkdir(parents=True, exist_ok=True)
  content = {
    'command': command,
    'metric': metric,
    'axis': axis,
    'rows': [
      _record(*pair, metric) for pair in zip(rows, comparisons[metric], strict=True)
    ],
    'measures': {
      name: [
        _numbers(*pair, name) for pair in zip(rows, comparisons[name], strict=True)
      ]
      for name in measures
    },
  }
  records.write_json(folder / 'sweep.json', content)
  records.write_bytes(folder / 'sweep.md', f'{text}\n'.encode())
  for name in (metric, *measures):
    suffix = '' if name == metric else f'_{name}'
    figures.sweep_results(
      [
        {
          'label': row.label(axis) if axis else name_of_row,
          'x': row.settings[axis] if axis else None,
          'values': [run[name] for run in row.runs.values()],
        }
        for row, name_of_row in zip(rows, _names(rows), strict=True)
        if row.runs
      ],
      folder / 'figures' / f'sweep{suffix}.png',
      _caption(rows, name),
      metric=words(name),
      axis=axis,
    )
  return Report(text, failures)


def _table(
  rows: Sequence[Row], comparisons: Sequence[Comparison | None], metric: str
) -> str:
  columns = ('', 'parameters', words(metric), *TEST_COLUMNS, 'against',
             'mean symmetry', 'training', 'seeds')  # fmt: skip
  lines: list[Sequence[str]] = [columns]
  named = zip(_numbered(rows), rows, comparisons, strict=True)
  for name, row, found in named:
    runs = list(row.runs.values())
    if not runs:
      lines.append((name, *['-'] * (len(columns) - 2), 'failed'))
      continue
    symmetries = [run['mean_symmetry'] for run in runs]
    lines.append(
      (
        name,
        f'{runs[0]["parameters"]:,}',
        spread([run[metric] for run in runs], _DIGITS),
        *_tested(found),
        '-' if None in symmetries else spread(symmetries, 2),
        f'{spread([run["train_seconds"] / 60 for run in runs], 1)} min',
        ', '.join(map(str, row.runs)),
      )
    )
  return markdown(lines)


def _measure_table(
  rows: Sequence[Row], comparisons: Sequence[Comparison | None], name: str
) -> str:
  lines: list[Sequence[str]] = [('', words(name), *TEST_COLUMNS, 'against', 'seeds')]
  for title, row, found in zip(_numbered(rows), rows, comparisons, strict=True):
    if row.runs:
      values = spread([run[name] for run in row.runs.values()], _DIGITS)
      seeds = str(len(row.runs))
      lines.append((title, values, *_tested(found), seeds))
  return markdown(lines)


def _numbered(rows: Sequence[Row]) -> list[str]:
  return [f'{number}. {name}'.rstrip() for number, name in enumerate(_names(rows), 1)]


def _names(rows: Sequence[Row]) -> list[str]:
  """The settings of the first row, and in which of them each other one differs.

  Where the rows lie on lines, each has all of its settings.
  """
  first = rows[0].settings
  if axis_of(rows):
    return [row.label() for row in rows]
  return [rows[0].label()] + [
    row.label(*(key for key, value in row.settings.items() if first.get(key) == value))
    for row in rows[1:]
  ]


def _tested(found: Comparison | None) -> tuple[str, ...]:
  if found is None:
    return ('', '', '')
  return *difference_and_p(found.test, found.p_holm), str(found.against + 1)


def _notes(
  rows: Sequence[Row],
  comparisons: Mapping[str, Sequence[Comparison | None]],
  failures: Sequence[str],
) -> list[str]:
  """The sentences under the tables."""
  runs = [run for row in rows for run in row.runs.values()]

  def all_of(values: Sequence[str]) -> str:
    return ', '.join(dict.fromkeys(values))

  notes = [
    f'Data (training / test examples): {all_of([data_of(run) for run in runs])}.',
    f'Hardware: {all_of([run["hardware"] for run in runs])}.',
    f'Commit: {all_of([str(run["commit"]) for run in runs])}.',
  ]
  metric, *measures = comparisons
  tests = [found for found in comparisons[metric] if found]
  if tests:
    about = f'{metric} (and of each measure)' if measures else metric
    notes.insert(
      0,
      f'Mean ± standard deviation over seeds; difference of {about} to the row named '
      'in `against`, with its 95% interval; p of a paired t test over seeds, and in '
      f"brackets after Holm's correction of all {len(tests)}"
      f'{" of a table" if measures else ""}.',
    )
  if failures:
    notes.append(f'Failed: {"; ".join(failures)}.')
  return notes


def _record(row: Row, found: Comparison | None, metric: str) -> dict[str, Any]:
  """A row as `sweep.json` has it."""
  kept = ('command', 'parameters', 'mean_symmetry', 'train_seconds', 'train_examples',
          'test_examples', 'dataset', 'hardware', 'commit')  # fmt: skip
  return {
    'settings': row.settings,
    'seeds': list(row.runs),
    **_numbers(row, found, metric),
    'runs': [{key: run[key] for key in kept} for run in row.runs.values()],
    'failures': {str(seed): why for seed, why in row.failures.items()},
  }


def _numbers(row: Row, found: Comparison | None, name: str) -> dict[str, Any]:
  """A row's values of one metric, and how they compare."""
  values = [run[name] for run in row.runs.values()]
  test = None
  if found:
    test = {
      'against': found.against,
      'pairs': found.test.counts[0],
      'mean_difference': found.test.mean_difference,
      'interval': found.test.interval,
      'p': found.test.p,
      'p_holm': found.p_holm,
    }
  return {
    'values': values,
    'mean': statistics.fmean(values) if values else None,
    'std': statistics.stdev(values) if len(values) > 1 else None,
    'test': test,
  }


def _caption(rows: Sequence[Row], name: str) -> str:
  runs = [run for row in rows for run in row.runs.values()]
  names = ', '.join(dict.fromkeys(run['dataset'] for run in runs))
  counts = sorted({len(row.runs) for row in rows if row.runs})
  seeds = f'{counts[0]}' if len(counts) == 1 else f'{counts[0]} to {counts[-1]}'
  return (
    f'{words(name)[0].upper()}{words(name)[1:]}, on {names}, over {seeds} seeds a '
    'point: mean and standard deviation, and each run as a dot.'
  )
