"""What is left of checkpoints whose files went missing or were cut short."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjax.checkpoints import CheckpointStore, find_damaged, saved_steps, set_aside
from symjax.errors import UserError


def state(step):
  return {
    'step': jnp.asarray(step, jnp.int32),
    'params': {'kernel': jax.random.normal(jax.random.key(step), (32, 32))},
  }


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """A folder with steps 1 (the best), 2 and 3."""
  folder = tmp_path_factory.mktemp('whole') / 'checkpoints'
  store = CheckpointStore(folder)
  for step, score in ((1, 0.9), (2, 0.2), (3, 0.1)):
    store.save(step, state(step), {'train_seconds': 1.0}, score)
  store.close()
  return folder


@pytest.fixture
def folder(whole, tmp_path):
  return shutil.copytree(whole, tmp_path / 'checkpoints')


def restored(folder, step):
  store = CheckpointStore(folder, read_only=True)
  arrays = store.restore_arrays(step)
  store.close()
  return arrays


def cut(path, left):
  """Keeps a part of a file; None removes it."""
  if left is None:
    path.unlink()
  else:
    path.write_bytes(path.read_bytes()[: int(left * path.stat().st_size)])


def largest(folder):
  files = (folder / '3' / 'state').rglob('d/*')
  return max(files, key=lambda path: path.stat().st_size)


NEEDED = {
  'arrays': largest,
  'manifest': lambda folder: folder / '3' / 'state' / 'manifest.ocdbt',
  'names': lambda folder: folder / '3' / 'state' / '_METADATA',
  'progress': lambda folder: folder / '3' / 'progress' / 'metadata',
}


@pytest.mark.parametrize('left', [0.5, 0.0, None])
@pytest.mark.parametrize('what', NEEDED)
def test_the_newest_whole_checkpoint_is_gone_on_from(folder, what, left, capfd):
  cut(NEEDED[what](folder), left)
  before = sorted(path.name for path in (folder / '3').rglob('*'))
  line = set_aside(folder)
  assert 'step 3 is damaged (' in line and line.endswith('going on from step 2')
  assert len(line.splitlines()) == 1 and 'Traceback' not in capfd.readouterr().err
  store = CheckpointStore(folder)
  assert store.latest_step() == 2
  store.save(3, state(3), {'train_seconds': 1.0}, None)  # Its place is free.
  store.close()
  jax.tree.map(np.testing.assert_array_equal, restored(folder, 3), state(3))
  # What was damaged is still there.
  assert sorted(path.name for path in (folder / '3.damaged').rglob('*')) == before
  assert set_aside(folder) is None


def test_whatever_file_is_cut_what_is_restored_was_saved(folder):
  """Either a checkpoint counts as damaged, or its arrays are those that were saved."""
  files = [path for path in (folder / '3').rglob('*') if path.is_file()]
  damaged = 0
  for path in files:
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    if 3 in find_damaged(folder):
      damaged += 1
    else:
      jax.tree.map(np.testing.assert_array_equal, restored(folder, 3), state(3))
    path.write_bytes(content)
  assert 5 <= damaged < len(files)
  assert not find_damaged(folder)


def test_a_torn_score_stops_neither_training_nor_the_reading_of_others(folder):
  cut(folder / '1' / 'metrics' / 'metrics', 0.5)
  with pytest.raises(UserError, match='a checkpoint in .* is damaged .*sets it aside'):
    CheckpointStore(folder, read_only=True)
  assert 'step 1 is damaged (metrics/metrics is missing or torn)' in set_aside(folder)
  store = CheckpointStore(folder)
  assert (store.latest_step(), store.best_step()) == (3, 2)
  store.close()


def test_nothing_is_touched_where_nothing_is_whole(folder):
  for step in ('1', '2', '3'):
    shutil.rmtree(folder / step / 'state')
  with pytest.raises(UserError, match='step 1 .*step 3 .*no checkpoint is whole'):
    set_aside(folder)
  assert saved_steps(folder) == [1, 2, 3]


def test_a_step_that_is_damaged_twice_is_kept_twice(folder):
  for _ in range(2):
    shutil.copytree(folder / '2', folder / '4')
    shutil.rmtree(folder / '4' / 'state')
    set_aside(folder)
  assert {'4.damaged', '4.damaged-2'} < {path.name for path in folder.iterdir()}
  assert saved_steps(folder) == [1, 2, 3]


def test_a_folder_that_is_not_there_has_no_damage(tmp_path):
  assert set_aside(tmp_path / 'none') is None
  assert not (tmp_path / 'none').exists()
