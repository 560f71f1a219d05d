"""Whether finished runs of two configs differ, seed by seed."""

import statistics
from collections.abc import Sequence
from typing import Any

from symjax.errors import UserError
from symjax.experiments.results import Group, headline_of, markdown, spread
from symjax.experiments.workdir import differences
from symjax.statistics import TTest, holm, paired_t_test

TEST_COLUMNS = ('difference (95% interval)', 'p (Holm)')
_DIGITS = 4


def comparison_table(groups: Sequence[Group]) -> str:
  """A Markdown table of paired t tests: the second config against the first.

  Of the test metric, the mean symmetry, and the symmetry of each layer's mean kernel
  that has one, over the seeds that both have; p values, and in brackets those after
  Holm's correction of all.

  Args:
    groups: of two configs.

  Raises:
    UserError: another number of configs, or fewer than two seeds in common.
  """
  if len(groups) != 2:
    raise UserError(
      f'to compare takes runs of two configs, and these are of {len(groups)}'
    )
  first, second = (_measured(group) for group in groups)
  common = [seed for seed in first if seed in second]
  if len(common) < 2:
    raise UserError(
      f'the runs share {len(common)} seed with the first config; a test takes 2 or more'
    )
  rows, tests = [], []
  for name in first[common[0]]:
    pairs = [(first[seed][name], second[seed].get(name)) for seed in common]
    ours = [one for one, other in pairs if one is not None and other is not None]
    theirs = [other for one, other in pairs if one is not None and other is not None]
    if len(ours) < len(common):  # A layer without a score.
      continue
    tests.append(paired_t_test(theirs, ours))
    rows.append([name, spread(ours, _DIGITS), spread(theirs, _DIGITS)])
  adjusted = holm([test.p for test in tests])
  for row, test, p in zip(rows, tests, adjusted, strict=True):
    row += [*difference_and_p(test, p), str(len(common))]
  labels = (name_of(group, groups) for group in groups)
  head = ['', *labels, *TEST_COLUMNS, 'seeds']
  return markdown([head, *rows])


def difference_and_p(test: TTest, adjusted: float) -> tuple[str, str]:
  """A test as the cells of `TEST_COLUMNS`, with its p value after correction."""
  low, high = test.interval
  difference = f'{test.mean_difference:+.4f} ({low:+.4f} to {high:+.4f})'
  return difference, f'{test.p:.2g} ({adjusted:.2g})'


def mean_profile(group: Group) -> dict[str, Any]:
  """A profile with the mean over seeds of every number that its figure shows."""

  def mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None

  layers = zip(*(profile['layers'] for profile in group.profiles), strict=True)
  numbers = ('score', 'individual_mean', 'individual_std')
  return {
    'mean_score': mean([profile['mean_score'] for profile in group.profiles]),
    'layers': [
      seeds[0] | {name: mean([layer[name] for layer in seeds]) for name in numbers}
      for seeds in layers
    ],
  }


def name_of(group: Group, groups: Sequence[Group]) -> str:
  """What sets a config apart from the first of the others: `key=value, ...`."""
  other = next(known for known in groups if known is not group)
  changes = differences(group.config, other.config)
  return ', '.join(f'{key}={value}' for key, value, _ in changes)


def _measured(group: Group) -> dict[int, dict[str, float | None]]:
  """Seed -> what is compared, by name."""
  measured = {}
  for summary, profile in zip(group.summaries, group.profiles, strict=True):
    headline = headline_of(summary)
    measured[summary['seed']] = {
      headline.removeprefix('test_'): summary[headline],
      'mean symmetry': summary['mean_symmetry'],
      **{f'S of {layer["name"]}': layer['score'] for layer in profile['layers']},
    }
  return measured
