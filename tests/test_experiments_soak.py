import sys

import jax.numpy as jnp
import pytest
from PIL import Image

from symjax.checkpoints import CheckpointStore
from symjax.errors import UserError
from symjax.experiments.soak import describe, find_problems, soak


@pytest.fixture
def workdir(tmp_path):
  """What a training may have left, all of it whole."""
  store = CheckpointStore(tmp_path / 'checkpoints')
  store.save(1, {'step': jnp.ones(3)}, {'train_seconds': 1.0}, None)
  store.close()
  (tmp_path / 'config.json').write_text('{"seed": 0}')
  (tmp_path / 'metrics.jsonl').write_text('{"step": 1}\n{"step": 2, "lo')
  (tmp_path / 'figures').mkdir()
  Image.new('RGB', (64, 64)).save(tmp_path / 'figures' / 'curves.png')
  (tmp_path / 'figures' / '.profile.png.123').write_bytes(b'unfinished')
  return tmp_path


def test_finished_files_that_are_whole_are_no_problem(workdir):
  assert not list(find_problems(workdir, kills=1))
  assert not list(find_problems(workdir / 'none'))


@pytest.mark.parametrize(
  'name, problem',
  [
    ('config.json', 'config.json is not JSON'),
    ('metrics.jsonl', 'metrics.jsonl has 2 torn lines after 1 kills'),
    ('figures/curves.png', 'curves.png is no whole image'),
    ('checkpoints/1/progress/metadata', '1 cannot be restored'),
  ],
)
def test_finished_files_that_are_torn_are_named(workdir, name, problem):
  path = workdir / name
  content = path.read_bytes()
  path.write_bytes(content[:5] + b'\n{' if name == 'metrics.jsonl' else content[:-9])
  [found] = find_problems(workdir, kills=1)
  assert problem in found


def test_a_soak_needs_an_empty_folder_and_a_training_that_works(tmp_path):
  with pytest.raises(UserError, match='is not empty'):
    soak(['true'], tmp_path.parent, kills=1, seconds=1, seed=0)
  failing = [sys.executable, '-c', 'import sys; sys.exit("error: no data")']
  with pytest.raises(UserError, match='fails even in peace: error: no data'):
    soak(failing, tmp_path / 'soak', kills=1, seconds=1, seed=0)


def test_problems_are_told():
  record = {
    'kills': 3,
    'events': {'SIGKILL': 2, 'SIGTERM': 1},
    'phases': {'training': 3},
    'seconds': 9.6,
    'finished': 2,
    'fallbacks': 1,
    'slowest_stop': 0.25,
    'problems': ['config.json is not JSON'],
  }
  text = describe(record)
  assert '3 kills (SIGKILL 2, SIGTERM 1; while training 3) in 10 s' in text
  assert text.endswith('1 problems\nconfig.json is not JSON')
