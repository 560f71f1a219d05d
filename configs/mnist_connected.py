"""Sharing weights or not: three networks with the same maps on MNIST.

Two layers of half the map's side, 28 -> 14 -> 7 pixels with 8 and 16 channels, and a
dense one on the last map: convolutional, locally connected (`:local`) and fully
connected (`:full`), with 9,098, 80,762 and 2,468,826 parameters. The question is how
many images each takes; `README.md` beside this has the answer.

    python -m run.train --config=configs/mnist_connected.py
    python -m run.train --config=configs/mnist_connected.py:full

with `--config.data.train_examples=300` and others, and other seeds.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '' (convolutional), 'local', 'full' and 'smoke'."""
  config = base.get_base('connected')
  config.data.name = 'mnist'
  config.data.mean = (0.1307,)  # Of the training split.
  config.data.std = (0.3081,)
  config.data.train_examples = 1000
  config.data.test_examples = 5000
  config.model.connection = 'convolutional'
  config.model.features = (8, 16)
  config.model.head = 'flatten'
  config.model.coordinates = False
  config.optimizer.name = 'adamw'
  config.optimizer.learning_rate = 2e-3
  config.optimizer.weight_decay = 1e-4
  config.train.batch_size = 25
  config.train.epochs = 10.0
  return base.choose(variant, config, local=local, full=full)


def local(config: ConfigDict) -> ConfigDict:
  """A kernel for each position."""
  config.model.connection = 'local'
  return config


def full(config: ConfigDict) -> ConfigDict:
  """A weight for each pair of a pixel and a position."""
  config.model.connection = 'full'
  return config
