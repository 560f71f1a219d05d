import json

import pytest

from symjax import records
from symjax.errors import UserError


def test_json_appears_whole_or_not_at_all(tmp_path):
  path = tmp_path / 'summary.json'
  records.write_json(path, {'score': 1.0})
  with pytest.raises(ValueError, match='JSON compliant'):
    records.write_json(path, {'score': float('nan')})
  assert records.read_json(path) == {'score': 1.0}
  assert [file.name for file in tmp_path.iterdir()] == ['summary.json']


def test_failed_writes_leave_nothing_behind(tmp_path):
  target = tmp_path / 'taken'
  target.mkdir()  # Cannot be replaced by a file.
  with pytest.raises(OSError, match='taken'):
    records.write_json(target, {})
  with pytest.raises(OSError, match='taken'):
    records.Log(target).append({'step': 1})
  assert [file.name for file in tmp_path.iterdir()] == ['taken']


def test_unreadable_json_is_named(tmp_path):
  with pytest.raises(UserError, match='none.json does not exist'):
    records.read_json(tmp_path / 'none.json')
  (tmp_path / 'torn.json').write_text('{"a": ')
  with pytest.raises(UserError, match='torn.json is not JSON'):
    records.read_json(tmp_path / 'torn.json')


def test_logs_survive_a_torn_last_line_and_a_resumed_run(tmp_path):
  log = records.Log(tmp_path / 'metrics.jsonl')
  for step in range(1, 5):
    log.append({'step': step, 'loss': float(step)})
  log.append({'step': 4, 'accuracy': 0.5})
  whole = log.path.read_bytes()
  log.path.write_bytes(whole + b'{"step": 5, "lo')
  assert log.read() == [json.loads(line) for line in whole.splitlines()]
  # A run resumed from step 3 repeats step 4, behind the torn line.
  log.append({'step': 4, 'loss': -4.0})
  log.append({'step': 5, 'loss': -5.0})
  assert log.path.read_bytes().startswith(whole)
  assert [row['loss'] for row in log.read() if 'loss' in row] == [1, 2, 3, -4, -5]
  assert {'step': 4, 'accuracy': 0.5} in log.read()


def test_a_log_that_was_never_written_is_empty(tmp_path):
  assert records.Log(tmp_path / 'metrics.jsonl').read() == []
