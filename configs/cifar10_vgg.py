"""VGG-16 with BatchNorm on CIFAR-10, at half width and with four of its five stages:
a network that two CPU cores can train. `README.md` beside this has what it reached.

    python -m run.train --config=configs/cifar10_vgg.py

`:full` is the whole VGG-16 with BatchNorm, for an accelerator.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '', 'full' and 'smoke'."""
  config = base.get_vgg()
  config.data.name = 'cifar10'
  config.data.mean = (0.4914, 0.4822, 0.4465)  # Of the training split.
  config.data.std = (0.2470, 0.2435, 0.2616)
  config.augmentation.flip = True
  config.augmentation.shift = 4
  config.train.epochs = 12.0
  return base.choose(variant, base.narrow(config), full=base.full)
