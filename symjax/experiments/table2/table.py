"""Table 2 as Markdown, the paper's numbers beside ours."""

from collections.abc import Mapping, Sequence
from typing import Any

_COLUMNS = (
  'depth', 'method', 'test error', 'paper', 'difference', 'p', 'epochs', 'rates', 'runs'
)  # fmt: skip


def table(results: Mapping[str, Any]) -> str:
  """What `compare` found, for people: a table, and a line for each interaction."""
  tests = {(test['depth'], test['method']): test for test in results['comparisons']}
  rows = [
    _row(cell, tests.get((cell['depth'], cell['method']))) for cell in results['cells']
  ]
  lines = [_COLUMNS, tuple('---' for _ in _COLUMNS), *rows]
  text = ['\n'.join(f'| {" | ".join(line)} |' for line in lines), '']
  labels = {cell['method']: cell['label'] for cell in results['cells']}
  reference = results['cells'][0]['label']
  text.append(
    f'`difference` is to {reference} at the same depth, over paired runs, with its 95% '
    "interval; `p` is that of a paired t test, and after Holm's correction of all."
  )
  for test in results['interactions']:
    shallow, deep = test['depths']
    text.append(
      f'The difference of {labels[test["method"]]} to {reference} at depth {deep} '
      f'minus that at depth {shallow}: {_difference(test)}, p = {_p(test)}.'
    )
  return '\n'.join(text)


def _row(cell: Mapping[str, Any], test: Mapping[str, Any] | None) -> tuple[str, ...]:
  runs = str(len(cell['test_errors']))
  if cell['dropped']:
    runs += f' ({cell["dropped"]} dropped; {cell["diverged"]} diverged here)'
  return (
    str(cell['depth']),
    cell['label'],
    _spread(cell['mean'], cell['std']),
    _spread(cell['published_mean'], cell['published_std']),
    _difference(test) if test else '',
    _p(test) if test else '',
    _range(cell['epochs']),
    ', '.join(f'{rate:g}' for rate in sorted(set(cell['rates']), reverse=True)),
    runs,
  )


def _spread(mean: float | None, std: float | None) -> str:
  if mean is None:
    return '-'
  return f'{mean:.4f}' if std is None else f'{mean:.4f} ± {std:.4f}'


def _difference(test: Mapping[str, Any]) -> str:
  if test['mean_difference'] is None:
    return '-'
  low, high = test['interval']
  return f'{test["mean_difference"]:+.4f} ({low:+.4f} to {high:+.4f})'


def _p(test: Mapping[str, Any]) -> str:
  if test['p'] is None:
    return '-'
  return f'{test["p"]:.2g} ({test["p_holm"]:.2g})'


def _range(values: Sequence[int]) -> str:
  low, high = min(values), max(values)
  return str(low) if low == high else f'{low}-{high}'
