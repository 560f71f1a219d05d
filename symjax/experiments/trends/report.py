"""The trend lines of groups of networks, which lies above which, and a figure."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symjax import figures, records
from symjax.errors import UserError
from symjax.experiments.results import markdown
from symjax.experiments.trends.lines import Line, Points, fit_line, offset_test
from symjax.experiments.trends.points import Point
from symjax.statistics import holm


def report_trends(
  points: Sequence[Point], out: str | Path, measure: str, source: str
) -> dict[str, Any]:
  """Writes `trends.json` and `figures/trends.png`.

  Every group is compared with those before it, in the order in which they come; one
  whose networks have all the same accuracy has no line and is only drawn.

  Args:
    points: the networks.
    out: folder to write to, made if need be.
    measure: what the consistency is, such as 'crop_shift'.
    source: where the numbers are from, for the caption.

  Returns:
    What `trends.json` holds: `measure`, `metric`: what accuracy is, in words, `source`,
    `points`, `lines` by group, and `comparisons`, each with the fields of `Offset`,
    `first` and `second`, `p_holm`, how many points of the `first` lie `above` the line
    of the second, and how many of its points lie at accuracies where that line was
    fitted (`within`).

  Raises:
    UserError: no group has a line, or networks are not measured by one metric.
  """
  metrics = sorted({point.metric for point in points})
  if len(metrics) > 1:
    raise UserError(
      f'some of the networks have {" and others ".join(metrics)}; compare those of one '
      'task'
    )
  groups: dict[str, list[Point]] = {}
  for point in points:
    groups.setdefault(point.group, []).append(point)
  lines = {
    name: fit_line(_coordinates(members))
    for name, members in groups.items()
    if len({point.accuracy for point in members}) > 1
  }
  if not lines:
    raise UserError(
      'a trend line takes two networks of different accuracy in one group; give more '
      'workdirs, or group them by another key (--by)'
    )
  names = list(lines)
  comparisons = [
    _compare(first, second, groups, lines[second])
    for i, first in enumerate(names)
    for second in names[:i]
    if len(groups[first]) + len(groups[second]) >= 4
  ]
  for comparison, p in zip(
    comparisons, holm([c['p'] for c in comparisons]), strict=True
  ):
    comparison['p_holm'] = p
  record = {
    'measure': measure,
    'metric': metrics[0],
    'source': source,
    'points': [dataclasses.asdict(point) for point in points],
    'lines': {name: dataclasses.asdict(line) for name, line in lines.items()},
    'comparisons': comparisons,
  }
  folder = Path(out)
  folder.mkdir(parents=True, exist_ok=True)
  figures.trend_lines(
    record,
    folder / 'figures' / 'trends.png',
    f'{source}: {measure.replace("_", " ")} consistency against {metrics[0]}, and '
    'the least squares line of every group, dotted where none of its networks are.',
  )
  records.write_json(folder / 'trends.json', record)
  return record


def _compare(
  first: str, second: str, groups: Mapping[str, Sequence[Point]], line: Line
) -> dict[str, Any]:
  members = groups[first]
  offset = offset_test(_coordinates(members), _coordinates(groups[second]))
  return {
    'first': first,
    'second': second,
    **dataclasses.asdict(offset),
    'interval': list(offset.interval),
    'above': sum(point.consistency > line.at(point.accuracy) for point in members),
    'within': sum(line.low <= point.accuracy <= line.high for point in members),
    'count': len(members),
  }


def _coordinates(points: Sequence[Point]) -> Points:
  return [p.accuracy for p in points], [p.consistency for p in points]


def trends_table(record: Mapping[str, Any]) -> str:
  """The comparisons as a Markdown table; distances are in percentage points."""
  head = (
    'group', 'against', f'above at equal {record["metric"]} (95% interval)', 'p (Holm)',
    'parallel, p', 'points above the line', 'of them within its range',
  )  # fmt: skip
  rows = []
  for row in record['comparisons']:
    low, high = row['interval']
    parallel = row['p_parallel']
    rows.append(
      [
        row['first'],
        row['second'],
        f'{100 * row["mean"]:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})',
        f'{row["p"]:.2g} ({row["p_holm"]:.2g})',
        '-' if parallel is None else f'{parallel:.2g}',
        f'{row["above"]} of {row["count"]}',
        f'{row["within"]}',
      ]
    )
  return markdown([head, *rows])
