"""What the runs of Table 2 say: means, and whether methods differ."""

import dataclasses
import itertools
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from symjax.experiments.table2.protocol import PUBLISHED
from symjax.statistics import holm, paired_t_test

Record = Mapping[str, Any]


def compare(records: Sequence[Record]) -> dict[str, Any]:
  """The table, and paired tests of every method against the first.

  At each depth a run that diverged under one method is dropped from all: the runs are
  compared in pairs, which share splits, batches and initial weights.

  Args:
    records: of all cells, from `run_cell`; each depth with the same methods.

  Returns:
    `cells`: for each its test errors after the last epoch, their `mean` and `std` and
      what the paper has; how many runs `diverged` under it, and were `dropped`.
    `comparisons`: for each depth and method but the first, the paired t test of its
      test errors minus those of the first method.
    `interactions`: for each method but the first, the paired t test of whether that
      difference is another at the largest depth than at the smallest.
    All p values have a twin by Holm's correction over the whole family, `p_holm`.
  """
  depths = list(dict.fromkeys(record['depth'] for record in records))
  methods = list(dict.fromkeys(record['method'] for record in records))
  found = {(record['depth'], record['method']): record for record in records}
  kept = {
    depth: [
      run
      for run in range(len(records[0]['runs']))
      if not any(_diverged(found[depth, method], run) for method in methods)
    ]
    for depth in depths
  }
  errors = {
    (depth, method): {
      run: found[depth, method]['runs'][run]['test_error'][-1] for run in kept[depth]
    }
    for depth, method in itertools.product(depths, methods)
  }
  cells = [_cell(found[key], list(errors[key].values())) for key in errors]

  tests: list[dict[str, Any]] = []
  for depth, method in itertools.product(depths, methods[1:]):
    test = _test(errors[depth, method], errors[depth, methods[0]])
    tests.append({'depth': depth, 'method': method, 'against': methods[0], **test})
  interactions: list[dict[str, Any]] = []
  shallow, deep = min(depths), max(depths)
  for method in methods[1:] if deep > shallow else []:
    differences = [
      {
        run: error - errors[depth, methods[0]][run]
        for run, error in errors[depth, method].items()
      }
      for depth in (deep, shallow)
    ]
    interactions.append(
      {
        'method': method,
        'against': methods[0],
        'depths': [shallow, deep],
        **_test(*differences),
      }
    )
  family = [test for test in (*tests, *interactions) if test['p'] is not None]
  for test, adjusted in zip(family, holm([test['p'] for test in family]), strict=True):
    test['p_holm'] = adjusted
  return {'cells': cells, 'comparisons': tests, 'interactions': interactions}


def _diverged(record: Record, run: int) -> bool:
  return record['runs'][run]['stopped'] == 'diverged'


def _cell(record: Record, errors: Sequence[float]) -> dict[str, Any]:
  runs = record['runs']
  published = PUBLISHED.get(record['depth'], {}).get(record['method'])
  return {
    'depth': record['depth'],
    'method': record['method'],
    'label': record['label'],
    'mean': statistics.fmean(errors) if errors else None,
    'std': statistics.stdev(errors) if len(errors) > 1 else None,
    'published_mean': published and published[0],
    'published_std': published and published[1],
    'test_errors': list(errors),
    'rates': [run['rate'] for run in runs],
    'epochs': [len(run['cost']) for run in runs],
    'stopped': [run['stopped'] for run in runs],
    'diverged': sum(run['stopped'] == 'diverged' for run in runs),
    'dropped': len(runs) - len(errors),
  }


def _test(ours: Mapping[int, float], theirs: Mapping[int, float]) -> dict[str, Any]:
  """The paired t test over the runs that both have; None where there are too few."""
  both = [run for run in ours if run in theirs]
  if len(both) < 2:
    return {'runs': len(both), 'mean_difference': None, 'interval': None, 'p': None}
  test = paired_t_test([ours[run] for run in both], [theirs[run] for run in both])
  fields = dataclasses.asdict(test)
  return {
    'runs': len(both),
    **{name: fields[name] for name in ('mean_difference', 'interval', 'p')},
  }
