"""A network that counts, from its config to its evaluation."""

import importlib
import json

import jax
import pytest

from symjax.experiments.evaluation import report_evaluation
from symjax.experiments.subject import subject_of_run
from symjax.experiments.train import train


@pytest.fixture(scope='module')
def counted(tmp_path_factory):
  """A run of two steps on made-up images, and its summary."""
  folder = tmp_path_factory.mktemp('counts')
  config = importlib.import_module('configs.counts_vgg').get_config('smoke').to_dict()
  config['model'] = {
    'name': 'connected', 'connection': 'convolutional', 'features': (2,),
    'head': 'average', 'coordinates': False, 'padding': 'zero', 'widths': 'explicit',
    'algorithm': 'xla', 'cost_table': None, 'dtype': 'float32',
  }  # fmt: skip
  config['data'] |= {'image_size': 16, 'train_examples': 32, 'test_examples': 20}
  config['train']['epochs'] = 1.0
  with jax.numpy_dtype_promotion('standard'):  # For optax's cosine.
    summary = train(config, folder / 'run', data_dir=str(folder / 'none'))
  return folder, summary


def test_a_counting_run_reports_its_error(counted):
  folder, summary = counted
  assert list(summary)[0] == 'test_error' and 'test_accuracy' not in summary
  rows = [
    json.loads(line) for line in (folder / 'run/metrics.jsonl').read_text().splitlines()
  ]
  # An untrained network says 0; made-up labels are uniform on 0 to 9.
  assert 3 < rows[0]['test_error'] < 6
  assert rows[0]['test_loss'] < rows[0]['test_error'] < rows[0]['test_loss'] + 0.5
  assert rows[-1]['test_error'] == summary['test_error']


def test_a_counting_run_is_evaluated_by_its_error(counted):
  folder, summary = counted
  with subject_of_run(folder / 'run', str(folder / 'none')) as subject:
    record = report_evaluation(subject, folder / 'out')
  assert record['test_error']['mean'] == pytest.approx(summary['test_error'], rel=1e-5)
  low, high = record['test_error']['interval']
  assert low < summary['test_error'] < high
  assert record['diagonal']['score'] == 'count minus the true one'
  assert {found['mean'] <= 1 for found in record['consistency'].values()} == {True}
  assert (folder / 'out/figures/consistency.png').exists()
