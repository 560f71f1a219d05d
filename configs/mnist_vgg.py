"""VGG-11 with BatchNorm on MNIST, at quarter width and with three of its five stages:
maps of 28, 14 and 7 pixels.

    python -m run.train --config=configs/mnist_vgg.py
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '' and 'smoke'."""
  config = base.get_vgg()
  config.data.name = 'mnist'
  config.data.mean = (0.1307,)  # Of the training split.
  config.data.std = (0.3081,)
  config.augmentation.shift = 2
  config.model.depth = 11
  config.model.width = 0.25
  config.model.stages = 3
  config.train.epochs = 2.0
  return base.choose(variant, config)
