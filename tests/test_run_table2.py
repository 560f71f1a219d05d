"""`run.table2` whole, by a protocol of seconds."""

import dataclasses
import json
import shutil
import subprocess
import sys

import pytest

from symjax.data import fake_dataset
from symjax.errors import UserError
from symjax.experiments.table2 import Protocol, experiment, table2

PROTOCOL = Protocol(
  runs=3,
  batch_size=10,
  rates=(1e-2, 1e-4),
  selection_train=30,
  selection_validation=20,
  selection_epochs=2,
  train=60,
  validation=30,
  min_epochs=2,
  max_epochs=4,
)
SETS = [
  fake_dataset('mnist', split, num_classes=4, image_shape=(8, 8, 1), num_examples=100)
  for split in ('train', 'test')
]


def run(workdir, depths=(2,), methods=('b-sgd', 'un'), protocol=PROTOCOL):
  return table2(protocol, depths, methods, workdir, *SETS, command='as asked')


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """A folder with two cells, and the table."""
  folder = tmp_path_factory.mktemp('table2')
  return folder, run(folder)


@pytest.fixture
def copied(finished, tmp_path):
  return shutil.copytree(finished[0], tmp_path / 'copied')


def test_table2_writes_what_it_promises_twice_the_same(finished, tmp_path):
  folder, text = finished
  assert '| 2 | UN |' in text
  assert run(tmp_path) == text
  for name in ('table2.json', 'table2.md', 'figures/table2.png'):
    assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()
  result = json.loads((folder / 'table2.json').read_text())
  assert result['protocol']['loss_reduction'] == 'sum'
  assert {'commit', 'versions', 'hardware', 'devices'} <= result['origins'][0].keys()
  for cell in result['cells']:
    assert len(cell['test_errors']) == 3 and cell['diverged'] == 0
    assert all(2 <= epochs <= 4 for epochs in cell['epochs'])


def test_finished_cells_are_not_trained_again(finished, copied, monkeypatch):
  trained = []

  def run_cell(cell, *others):
    trained.append((cell.model.depth, cell.method.label))
    record = json.loads((copied / 'cells' / 'depth2-un.json').read_text())
    del record['method']
    return {**record, 'label': cell.method.label}

  monkeypatch.setattr(experiment, 'run_cell', run_cell)
  assert run(copied) == finished[1]
  assert trained == []
  assert '| 2 | SM |' in run(copied, methods=('b-sgd', 'un', 'sm'))
  assert trained == [(2, 'SM')]


def test_diverged_runs_are_counted_and_never_averaged(tmp_path):
  wild = dataclasses.replace(PROTOCOL, rates=(1e38,))
  text = run(tmp_path, methods=('b-sgd',), protocol=wild)
  assert '0 (3 dropped; 3 diverged here)' in text
  result = json.loads((tmp_path / 'table2.json').read_text())
  assert result['cells'][0]['mean'] is None


def test_a_folder_of_another_protocol_is_refused(copied):
  other = dataclasses.replace(PROTOCOL, loss_reduction='mean')
  with pytest.raises(UserError, match=r'loss_reduction=sum \(now mean\); choose ano'):
    run(copied, protocol=other)


@pytest.mark.parametrize(
  'arguments, complaint',
  [
    (dict(methods=('b-sgd', 'nu')), "unknown method 'nu'; choose from b-sgd, un, sm"),
    (dict(methods=('un', 'un')), 'give each method once'),
    (dict(depths=()), 'give each depth once, and at least one'),
    (dict(depths=(0,)), 'an ArchBN of depth 0'),
    (
      dict(protocol=dataclasses.replace(PROTOCOL, train=90)),
      'the protocol needs 120 training images, and there are 100',
    ),
  ],
)
def test_what_makes_no_table_is_named_and_leaves_nothing(
  tmp_path, arguments, complaint
):
  with pytest.raises(UserError, match=complaint):
    run(tmp_path / 'new', **arguments)
  assert not (tmp_path / 'new').exists()


@pytest.mark.parametrize(
  'flag, complaint',
  [
    ('--loss_reduction=max', 'value should be one of <sum|mean>'),
    ('--runs=1', '--runs=1'),
    ('--depths=2,four', '--depths=2,four are not whole numbers'),
  ],
)
def test_mistakes_in_flags_are_one_line(tmp_path, flag, complaint):
  command = [sys.executable, '-m', 'run.table2', flag, f'--workdir={tmp_path / "new"}']
  done = subprocess.run(command, capture_output=True, text=True)
  assert done.returncode == 2
  [line] = done.stderr.splitlines()
  assert line.startswith('error: ') and complaint in line
  assert not (tmp_path / 'new').exists()
