"""What is measured: a start, a file of weights; a run is in test_run_train."""

import importlib

import jax
import numpy as np
import pytest

from symjax.checkpoints import names
from symjax.errors import UserError
from symjax.experiments.subject import subject_of_start, subject_of_weights

CONFIG = importlib.import_module('configs.mnist_connected').get_config('smoke')


def test_a_file_of_weights_is_the_network_that_it_was_written_of(tmp_path):
  config = CONFIG.to_dict()
  with subject_of_start(config, str(tmp_path)) as start:
    assert start.step == 0 and start.name.endswith('seed 0, before training')
    assert start.images(3).shape == (3, 28, 28, 1)
    arrays = jax.device_get(names.name_leaves(start.variables))
  path = tmp_path / 'weights.npz'
  np.savez(path, **arrays)
  with subject_of_weights(config, path, str(tmp_path)) as found:
    assert found.step is None
    assert found.name == 'weights.npz (connected on mnist)'
    again = jax.device_get(names.name_leaves(found.variables))
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
      np.testing.assert_array_equal(again[name], array)

  config['model']['features'] = (4, 16)
  with pytest.raises(UserError, match='weights.npz does not fit the network'):
    with subject_of_weights(config, path, str(tmp_path)):
      pass
