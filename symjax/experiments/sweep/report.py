"""What a sweep leaves: a table, a figure, one JSON file."""

import dataclasses
import statistics
from collections.abc import Sequence
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
  rows: Sequence[Row], folder: Path, command: str | None = None
) -> Report:
  """Compares rows, and writes `sweep.json`, `sweep.md` and `figures/sweep.png`.

  Args:
    rows: one of which has a run.
    folder: to write to; made if need be.
    command: that asked for this.

  Raises:
    UserError: runs of different metrics.
    OSError: a file cannot be written.
  """
  comparisons = compare(rows)
  metric, axis = metric_of(rows), axis_of(rows)
  failures = [
    ', '.join(filter(None, [row.label(), f'seed={seed}'])) + f': {why}'
    for row in rows
    for seed, why in row.failures.items()
  ]
  notes = _notes(rows, comparisons, metric, failures)
  text = f'{_table(rows, comparisons, metric)}\n\n{" ".join(notes)}'
  folder.mkdir(parents=True, exist_ok=True)
  content = {
    'command': command,
    'metric': metric,
    'axis': axis,
    'rows': [_record(*pair, metric) for pair in zip(rows, comparisons, strict=True)],
  }
  records.write_json(folder / 'sweep.json', content)
  records.write_bytes(folder / 'sweep.md', f'{text}\n'.encode())
  figures.sweep_results(
    [
      {
        'label': row.label(axis),
        'x': row.settings[axis] if axis else None,
        'values': [run[metric] for run in row.runs.values()],
      }
      for row in rows
      if row.runs
    ],
    folder / 'figures' / 'sweep.png',
    _caption(rows, metric),
    metric=metric.replace('_', ' '),
    axis=axis,
  )
  return Report(text, failures)


def _table(
  rows: Sequence[Row], comparisons: Sequence[Comparison | None], metric: str
) -> str:
  columns = ('', 'parameters', metric.replace('_', ' '), *TEST_COLUMNS, 'against',
             'mean symmetry', 'training', 'seeds')  # fmt: skip
  lines: list[Sequence[str]] = [columns]
  for number, (row, found) in enumerate(zip(rows, comparisons, strict=True), 1):
    name = f'{number}. {row.label()}'
    runs = list(row.runs.values())
    if not runs:
      lines.append((name, *['-'] * (len(columns) - 2), 'failed'))
      continue
    tested: tuple[str, ...] = ('', '', '')
    if found:
      tested = *difference_and_p(found.test, found.p_holm), str(found.against + 1)
    symmetries = [run['mean_symmetry'] for run in runs]
    lines.append(
      (
        name,
        f'{runs[0]["parameters"]:,}',
        spread([run[metric] for run in runs], _DIGITS),
        *tested,
        '-' if None in symmetries else spread(symmetries, 2),
        f'{spread([run["train_seconds"] / 60 for run in runs], 1)} min',
        ', '.join(map(str, row.runs)),
      )
    )
  return markdown(lines)


def _notes(
  rows: Sequence[Row],
  comparisons: Sequence[Comparison | None],
  metric: str,
  failures: Sequence[str],
) -> list[str]:
  """The sentences under the table."""
  runs = [run for row in rows for run in row.runs.values()]

  def all_of(values: Sequence[str]) -> str:
    return ', '.join(dict.fromkeys(values))

  notes = [
    f'Data (training / test examples): {all_of([data_of(run) for run in runs])}.',
    f'Hardware: {all_of([run["hardware"] for run in runs])}.',
    f'Commit: {all_of([str(run["commit"]) for run in runs])}.',
  ]
  tests = [found for found in comparisons if found]
  if tests:
    notes.insert(
      0,
      f'Mean ± standard deviation over seeds; difference of {metric} to the row named '
      'in `against`, with its 95% interval; p of a paired t test over seeds, and in '
      f"brackets after Holm's correction of all {len(tests)}.",
    )
  if failures:
    notes.append(f'Failed: {"; ".join(failures)}.')
  return notes


def _record(row: Row, found: Comparison | None, metric: str) -> dict[str, Any]:
  """A row as `sweep.json` has it."""
  runs = list(row.runs.values())
  values = [run[metric] for run in runs]
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
  kept = ('command', 'parameters', 'mean_symmetry', 'train_seconds', 'train_examples',
          'test_examples', 'dataset', 'hardware', 'commit')  # fmt: skip
  return {
    'settings': row.settings,
    'seeds': list(row.runs),
    'values': values,
    'mean': statistics.fmean(values) if values else None,
    'std': statistics.stdev(values) if len(values) > 1 else None,
    'test': test,
    'runs': [{key: run[key] for key in kept} for run in runs],
    'failures': {str(seed): why for seed, why in row.failures.items()},
  }


def _caption(rows: Sequence[Row], metric: str) -> str:
  runs = [run for row in rows for run in row.runs.values()]
  names = ', '.join(dict.fromkeys(run['dataset'] for run in runs))
  counts = sorted({len(row.runs) for row in rows if row.runs})
  seeds = f'{counts[0]}' if len(counts) == 1 else f'{counts[0]} to {counts[-1]}'
  return (
    f'{metric.replace("_", " ").capitalize()} on {names} over {seeds} seeds a '
    'point: mean and standard deviation, and each run as a dot.'
  )
