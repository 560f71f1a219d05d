import numpy as np
import pytest
from scipy import stats

from symjax.experiments.table2.compare import compare
from symjax.experiments.table2.table import table


def record(depth, method, errors, diverged=()):
  """Of a cell, with the test error of each run; those that `diverged` have none."""
  return {
    'depth': depth,
    'method': method,
    'label': method.upper(),
    'runs': [
      {
        'rate': 0.01,
        'cost': [0.5, 0.1],
        'test_error': [0.5, None if run in diverged else error],
        'stopped': 'diverged' if run in diverged else 'last epoch',
      }
      for run, error in enumerate(errors)
    ],
  }


def errors(seed, mean, runs=8):
  return np.random.default_rng(seed).normal(mean, 0.001, runs).tolist()


def test_means_and_paired_tests_are_those_of_the_last_epoch():
  plain, un = errors(0, 0.021), errors(1, 0.018)
  results = compare([record(2, 'b-sgd', plain), record(2, 'un', un)])
  for cell, values, published in zip(
    results['cells'], (plain, un), ((0.0206, 0.0024), (0.0199, 0.0046)), strict=True
  ):
    assert cell['mean'] == pytest.approx(np.mean(values))
    assert cell['std'] == pytest.approx(np.std(values, ddof=1))
    assert (cell['published_mean'], cell['published_std']) == published
    assert cell['test_errors'] == values
  [test] = results['comparisons']
  expected = stats.ttest_rel(un, plain)
  assert test['p'] == test['p_holm'] == pytest.approx(expected.pvalue)
  assert test['mean_difference'] == pytest.approx(np.mean(un) - np.mean(plain))
  assert results['interactions'] == []


def test_the_interaction_asks_whether_the_gain_depends_on_depth():
  sets = {(d, m): errors(10 * d + i, 0.02) for d in (2, 4) for i, m in enumerate('ab')}
  results = compare([record(d, m, values) for (d, m), values in sets.items()])
  [test] = results['interactions']
  gain = {d: np.subtract(sets[d, 'b'], sets[d, 'a']) for d in (2, 4)}
  assert test['p'] == pytest.approx(stats.ttest_rel(gain[4], gain[2]).pvalue)
  assert test['mean_difference'] == pytest.approx((gain[4] - gain[2]).mean())
  family = [*results['comparisons'], test]
  assert all(t['p_holm'] >= t['p'] for t in family)
  assert min(t['p_holm'] for t in family) == pytest.approx(
    min(1, 3 * min(t['p'] for t in family))
  )


def test_a_diverged_run_is_dropped_with_its_pair_and_counted():
  plain, un = errors(0, 0.021), errors(1, 0.018)
  results = compare(
    [record(2, 'b-sgd', plain, diverged={1}), record(2, 'un', un, diverged={6})]
  )
  kept = [run for run in range(8) if run not in (1, 6)]
  for cell, values in zip(results['cells'], (plain, un), strict=True):
    assert cell['test_errors'] == [values[run] for run in kept]
    assert (cell['diverged'], cell['dropped']) == (1, 2)
  assert results['comparisons'][0]['runs'] == 6
  assert '6 (2 dropped; 1 diverged here)' in table(results)


def test_a_cell_whose_runs_all_diverged_has_no_number():
  cells = [
    record(2, 'b-sgd', errors(0, 0.02)),
    record(2, 'un', errors(1, 0.02), diverged=range(8)),
  ]
  results = compare(cells)
  assert [cell['mean'] for cell in results['cells']] == [None, None]
  assert results['comparisons'][0]['p'] is None
  assert '| - |' in table(results)


def test_the_table_has_a_row_for_each_cell_and_the_papers_numbers():
  cells = [
    record(depth, method, errors(depth + i, 0.02))
    for depth in (2, 4)
    for i, method in enumerate(('b-sgd', 'un', 'sm'))
  ]
  lines = table(compare(cells)).splitlines()
  rows = [[text.strip() for text in line.split('|')[1:-1]] for line in lines[2:8]]
  published = [row[3] for row in rows]
  assert published == [
    '0.0206 ± 0.0024', '0.0199 ± 0.0046', '-', '0.0204 ± 0.0027', '0.0179 ± 0.0025', '-'
  ]  # fmt: skip
  assert [bool(row[5]) for row in rows] == [False, True, True] * 2
  assert sum('minus that at depth 2' in line for line in lines) == 2
