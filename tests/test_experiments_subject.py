"""What is measured: a file of weights; runs are measured in other tests."""

import importlib
import json

import jax
import numpy as np
import pytest

from symjax.checkpoints import names
from symjax.errors import UserError
from symjax.experiments.setup import build
from symjax.experiments.subject import subject_of_weights
from symjax.experiments.workdir import Workdir


def test_a_file_of_weights_is_the_network_that_it_was_written_of(tmp_path):
  config = importlib.import_module('configs.mnist_connected').get_config('smoke')
  config = config.to_dict()
  state = jax.eval_shape(build(config, (28, 28, 1), 10, 64).create_state)
  rng = np.random.default_rng(0)
  arrays = {
    name: rng.normal(size=leaf.shape).astype(leaf.dtype)
    for name, leaf in names.name_leaves(state.variables).items()
  }
  path = tmp_path / 'weights.npz'
  np.savez(path, **arrays)
  with subject_of_weights(config, path, str(tmp_path)) as found:
    assert found.step is None
    assert found.name == 'weights.npz (connected on mnist)'
    loaded = names.name_leaves(found.variables)
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
      np.testing.assert_array_equal(loaded[name], array)

  config['model']['features'] = (4, 16)
  with pytest.raises(UserError, match='weights.npz does not fit the network'):
    with subject_of_weights(config, path, str(tmp_path)):
      pass


def test_a_run_of_an_older_version_is_named_by_what_it_lacks(tmp_path):
  config = {'model': {'name': 'vgg'}, 'data': {'name': 'mnist'}, 'seed': 3}
  (tmp_path / 'config.json').write_text(json.dumps(config))
  found = Workdir(tmp_path).read_config()
  assert found == config and found['data'] | {'fake': True} == {
    'name': 'mnist', 'fake': True,
  }  # fmt: skip
  with pytest.raises(UserError, match=r"config.json has no 'test_split': an older"):
    found['data']['test_split']
  with pytest.raises(UserError, match=r"has no 'train': an older symjax made"):
    found['train']
