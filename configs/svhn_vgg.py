"""Document A's VGG-16 on SVHN digits (section 3, Fig. 3 right): torchvision's network,
without BatchNorm, with the published classifier, from Kaiming's start.

The document gives neither image size nor recipe: the images stay at 32 pixels, and
the recipe is the usual one of VGG without BatchNorm, a rate of 0.01. Digits are not
mirrored; they are shifted.

    python -m run.train --config=configs/svhn_vgg.py

`:cpu` is a half-wide network with BatchNorm and four stages.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '', 'cpu' and 'smoke'."""
  config = base.get_vgg()
  config.data.name = 'svhn_cropped'
  config.data.mean = (0.4377, 0.4438, 0.4728)  # Of the training split.
  config.data.std = (0.1980, 0.2010, 0.1970)
  config.augmentation.shift = 2
  config.model.depth = 16
  config.model.batch_norm = False
  config.model.head = 'classifier'
  config.optimizer.learning_rate = 0.01
  config.train.epochs = 60.0
  return base.choose(variant, config, cpu=cpu)


def cpu(config: ConfigDict) -> ConfigDict:
  """A network that two CPU cores train in about an hour."""
  base.narrow(config)
  config.optimizer.learning_rate = 0.1
  config.train.epochs = 8.0
  return config
