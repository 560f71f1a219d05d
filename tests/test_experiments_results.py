import json

import pytest

from symjax.errors import UserError
from symjax.experiments.results import results_table

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


def workdir(folder, seed, **summary):
  folder.mkdir()
  width = summary.pop('width', 0.5)
  config = {'seed': seed, 'model': {'width': width}}
  (folder / 'config.json').write_text(json.dumps(config))
  command = f'python -m run.train --config=c.py --data_dir /x --config.seed={seed}'
  summary = SUMMARY | {'seed': seed, 'command': command} | summary
  (folder / 'summary.json').write_text(json.dumps(summary))
  return folder


def test_seeds_share_a_row_with_mean_and_standard_deviation(tmp_path):
  table = results_table(
    [
      workdir(tmp_path / 'a', 0, test_accuracy=0.90),
      workdir(tmp_path / 'b', 1, test_accuracy=0.94),
      workdir(tmp_path / 'c', 0, width=1.0),
    ]
  )
  _, _, first, second = table.splitlines()
  assert 'accuracy 0.9200 ± 0.0283' in first  # Divisor n - 1.
  assert '| 0, 1 |' in first and '| 0 |' in second
  assert '`python -m run.train --config=c.py`' in first
  assert 'cifar10: 20,000 / 1,017 (a part of the set)' in first
  assert 'accuracy 0.9000 |' in second
  assert {line.count('|') for line in table.splitlines()} == {9}


def test_unfinished_runs_are_refused(tmp_path):
  with pytest.raises(UserError, match='holds no finished run'):
    results_table([tmp_path])
