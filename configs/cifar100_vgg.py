"""VGG-16 with BatchNorm on CIFAR-100, at half width and with four of its five stages.

    python -m run.train --config=configs/cifar100_vgg.py

`:full` is the whole VGG-16 with BatchNorm, for an accelerator.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '', 'full' and 'smoke'."""
  config = base.get_vgg()
  config.data.name = 'cifar100'
  config.data.mean = (0.5071, 0.4865, 0.4409)  # Of the training split.
  config.data.std = (0.2673, 0.2564, 0.2762)
  config.augmentation.flip = True
  config.augmentation.shift = 4
  config.train.epochs = 60.0
  return base.choose(variant, base.narrow(config), full=base.full)
