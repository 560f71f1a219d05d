import json

import pytest
from scipy import stats

from symjax.errors import UserError
from symjax.experiments.comparison import comparison_table, mean_profile
from symjax.experiments.results import read_groups, results_table
from symjax.statistics import holm

SUMMARY = {
  'test_accuracy': 0.9,
  'mean_symmetry': 0.7,
  'initial_mean_symmetry': 0.4,
  'train_seconds': 120.0,
  'images_per_second': 250.0,
  'dataset': 'cifar10',
  'dataset_note': 'CIFAR-10, a PART of it.',
  'train_examples': 20000,
  'test_examples': 1017,
  'hardware': '2 CPU cores',
  'commit': 'abc',
}


PROFILE = {'mean_score': 0.7}
SINGLE = [
  {'score': 0.5, 'individual_mean': 0.41},
  {'score': 0.9, 'individual_mean': 0.43},
  {'score': None, 'individual_mean': 0.9},
]


def workdir(folder, seed, layers=None, **summary):
  folder.mkdir()
  width = summary.pop('width', 0.5)
  config = {'seed': seed, 'model': {'width': width}}
  (folder / 'config.json').write_text(json.dumps(config))
  command = f'python -m run.train --config=c.py --data_dir /x --config.seed={seed}'
  summary = SUMMARY | {'seed': seed, 'command': command} | summary
  (folder / 'summary.json').write_text(json.dumps(summary))
  (folder / 'profile.json').write_text(json.dumps(PROFILE | {'layers': layers or []}))
  return folder


def test_seeds_share_a_row_with_mean_and_standard_deviation(tmp_path):
  runs = [
    workdir(tmp_path / 'a', 0, SINGLE, test_accuracy=0.90),
    workdir(tmp_path / 'b', 1, SINGLE, test_accuracy=0.94, mean_symmetry=0.8),
    workdir(tmp_path / 'c', 0, width=1.0),
  ]
  table = results_table(read_groups(runs))
  _, _, first, second = table.splitlines()
  assert 'accuracy 0.9200 ± 0.0283' in first  # Divisor n - 1.
  assert '| 0, 1 |' in first and '| 0 |' in second
  assert '`python -m run.train --config=c.py`' in first
  assert 'cifar10: 20,000 / 1,017 (a part of the set)' in first
  assert 'accuracy 0.9000 |' in second
  assert {line.count('|') for line in table.splitlines()} == {9}
  # Gains of 0.3 and 0.4, and 0.28 and 0.38 above the single kernels.
  gained, above = (2 * stats.t.sf(mean / 0.05, 1) for mean in (0.35, 0.33))
  assert '| 0.40 ± 0.00 → 0.75 ± 0.07 ' in first
  assert f'(p = {gained:.2g}); single kernels 0.42 ± 0.00 (p = {above:.2g}) |' in first
  assert '| 0.40 → 0.70 |' in second


def test_a_seed_that_is_there_twice_is_no_evidence(tmp_path):
  runs = [workdir(tmp_path / name, 0, SINGLE) for name in 'ab']
  assert '| 0.40 ± 0.00 → 0.70 ± 0.00 |' in results_table(read_groups(runs))


def test_unfinished_runs_are_refused(tmp_path):
  with pytest.raises(UserError, match='holds no finished run'):
    read_groups([tmp_path])


def layer(name, score):
  return {
    'name': name,
    'stride': 1,
    'score': score,
    'random_mean': 0.41,
    'random_std': 0.1,
    'individual_mean': score and score / 2,
    'individual_std': 0.05,
  }


def seeds(tmp_path, name, width, accuracies, scores):
  return [
    workdir(
      tmp_path / f'{name}{seed}',
      seed,
      width=width,
      test_accuracy=accuracy,
      mean_symmetry=score,
      layers=[layer('first', score), layer('second', None)],
    )
    for seed, (accuracy, score) in enumerate(zip(accuracies, scores, strict=True))
  ]


def test_configs_are_compared_seed_by_seed(tmp_path):
  scores = [0.5, 0.6, 0.55, 0.4], [0.6, 0.65, 0.7, 0.45, 0.9]
  accuracies = [0.9, 0.8, 0.85, 0.95], [0.91, 0.79, 0.86, 0.95, 0.99]
  runs = [
    *seeds(tmp_path, 'a', 0.5, accuracies[0], scores[0]),
    *seeds(tmp_path, 'b', 1.0, accuracies[1], scores[1]),
  ]
  text = comparison_table(read_groups(runs))
  rows = [[cell.strip() for cell in row.split('|')[1:-1]] for row in text.splitlines()]
  assert rows[0][1:3] == ['model.width=0.5', 'model.width=1.0']
  named = {row[0]: row for row in rows[2:]}
  # The fifth seed has no partner; the second layer has no score.
  assert set(named) == {'accuracy', 'mean symmetry', 'S of first'}
  p_values = [
    stats.ttest_rel(other[:4], first).pvalue for first, other in (accuracies, scores)
  ]
  p_values.append(p_values[1])
  for row, p, adjusted in zip(rows[2:], p_values, holm(p_values), strict=True):
    assert row[4:] == [f'{p:.2g} ({adjusted:.2g})', '4']
  assert named['mean symmetry'][3].startswith('+0.0875 (')


def test_a_mean_profile_is_that_of_its_seeds(tmp_path):
  [group] = read_groups(seeds(tmp_path, 'a', 1.0, [0.9, 0.9], [0.5, 0.7]))
  profile = mean_profile(group)
  assert profile['mean_score'] == pytest.approx(0.7)
  first, second = profile['layers']
  assert first['score'] == pytest.approx(0.6)
  assert first['individual_mean'] == pytest.approx(0.3)
  assert second['score'] is None


def test_what_cannot_be_compared_is_refused(tmp_path):
  alone = seeds(tmp_path, 'a', 1.0, [0.9, 0.9], [0.5, 0.7])
  with pytest.raises(UserError, match='to compare takes runs of two configs'):
    comparison_table(read_groups(alone))
  other = workdir(tmp_path / 'b', 1, width=2.0)
  with pytest.raises(UserError, match='share 1 seed with the first'):
    comparison_table(read_groups([*alone, other]))
