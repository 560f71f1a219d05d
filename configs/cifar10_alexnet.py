"""AlexNet on CIFAR-10, of the networks of document A's Fig. 1.

The images are enlarged to 63 pixels, the least that the network takes, at which none
of its strides leaves anything over.

    python -m run.train --config=configs/cifar10_alexnet.py

`:cpu` is a quarter as wide, for two CPU cores.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '', 'cpu' and 'smoke'."""
  config = base.get_alexnet()
  config.data.name = 'cifar10'
  config.data.mean = base.IMAGENET_MEAN
  config.data.std = base.IMAGENET_STD
  config.data.image_size = 63
  config.augmentation.flip = True
  config.augmentation.shift = 4
  config.train.batch_size = 128
  return base.choose(variant, config, cpu=cpu)


def cpu(config: ConfigDict) -> ConfigDict:
  """A network and a training that two CPU cores manage."""
  config.model.width = 0.25
  config.schedule.name = 'cosine'
  config.schedule.warmup_epochs = 1.0
  config.train.epochs = 12.0
  return config
