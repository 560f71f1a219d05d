import shutil
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import SingleDeviceSharding

from symjax.checkpoints import CheckpointStore
from symjax.errors import UserError


def state(value, features=3):
  return {
    'step': jnp.asarray(value, jnp.int32),
    'params': {'conv': {'kernel': jnp.full((2, features), value / 3)}},
    'moments': (jnp.full(features, value, jnp.bfloat16), ()),
  }


def like(tree):
  sharding = SingleDeviceSharding(jax.devices()[0])
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree
  )


@pytest.fixture
def folder(tmp_path):
  """A folder with three checkpoints; the second is the best."""
  store = CheckpointStore(tmp_path / 'checkpoints')
  for step, score in ((1, 0.2), (2, 0.9), (3, 0.5), (4, None)):
    store.save(step, state(step), {'train_seconds': float(step)}, score)
  store.close()
  return tmp_path / 'checkpoints'


def test_the_latest_two_and_the_best_are_kept_bit_for_bit(folder):
  assert {path.name for path in folder.iterdir()} == {'2', '3', '4'}
  store = CheckpointStore(folder)
  assert (store.latest_step(), store.best_step()) == (4, 2)
  for step in (2, 3, 4):
    restored, progress = store.restore(step, like(state(0)))
    jax.tree.map(np.testing.assert_array_equal, restored, state(step))
    assert progress == {'train_seconds': float(step)}
  np.testing.assert_array_equal(
    store.restore_params(2)['conv']['kernel'], state(2)['params']['conv']['kernel']
  )
  store.close()


def test_a_step_is_saved_once(folder):
  store = CheckpointStore(folder)
  store.save(4, state(5), {'train_seconds': 0.0}, None)
  store.close()
  store = CheckpointStore(folder)
  assert int(store.restore(4, like(state(0)))[0]['step']) == 4
  store.close()


def test_a_step_that_was_saved_in_haste_is_saved_anew_with_its_score(tmp_path):
  store = CheckpointStore(tmp_path / 'checkpoints')
  for value, score in ((1, None), (2, 0.5)):
    store.save(7, state(value), {'train_seconds': 0.0}, score)
  store.close()
  store = CheckpointStore(tmp_path / 'checkpoints')
  assert (store.latest_step(), store.best_step()) == (7, 7)
  assert int(store.restore(7, like(state(0)))[0]['step']) == 2
  store.close()


def test_an_empty_folder_has_no_steps(tmp_path):
  store = CheckpointStore(tmp_path / 'new')
  assert store.latest_step() is None
  assert store.best_step() is None
  store.close()


@pytest.mark.parametrize(
  'other, message',
  [
    (lambda: state(0, features=4), r'moments/0 is \(3,\), not \(4,\)'),
    (lambda: state(0) | {'ema': jnp.ones(2)}, 'it lacks ema'),
    (lambda: {'step': jnp.ones(())}, 'which this model lacks'),
  ],
)
def test_checkpoints_of_another_model_are_refused(folder, other, message):
  store = CheckpointStore(folder)
  with pytest.raises(UserError, match=f'of another model: .*{message}'):
    store.restore(4, like(other()))
  store.close()


@pytest.mark.parametrize('damage', ['truncate', 'remove'])
def test_damaged_checkpoints_are_named(folder, damage):
  files = [path for path in (folder / '4').rglob('*') if path.is_file()]
  for path in files:
    if damage == 'remove':
      path.unlink()
    else:
      path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
  store = CheckpointStore(folder)
  with pytest.raises(UserError, match='checkpoint .*4 cannot be read'):
    store.restore(4, like(state(0)))
  store.close()


def test_a_full_disk_is_noticed_before_anything_is_written(folder, monkeypatch):
  usage = types.SimpleNamespace(free=10)
  monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage)
  store = CheckpointStore(folder)
  with pytest.raises(
    UserError, match='no room for the checkpoint of step 9.*step 4 is kept'
  ):
    store.save(9, state(9), {'train_seconds': 0.0}, None)
  store.close()
  assert {path.name for path in folder.iterdir()} == {'2', '3', '4'}
