"""ResNet-20 on CIFAR-10, in the recipe of He et al. (arXiv:1512.03385, section 4.2):
64,000 steps in batches of 128, at a tenth of the rate after 32,000 and 48,000.

The network and its normalisation are those of the widespread PyTorch weights.

    python -m run.train --config=configs/cifar10_resnet.py

`:cpu` is a short training of the same network, for two CPU cores. Its strided layers
see even maps, which they treat unevenly; `--config.data.image_size=33` mends that.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '', 'cpu' and 'smoke'."""
  config = base.get_base('cifar_resnet')
  config.data.name = 'cifar10'
  config.data.mean = base.IMAGENET_MEAN
  config.data.std = base.IMAGENET_STD
  config.augmentation.flip = True
  config.augmentation.shift = 4
  config.model.depth = 20
  config.model.width = 1.0
  config.optimizer.weight_decay = 1e-4
  config.schedule.name = 'step'
  config.schedule.warmup_epochs = 0.0
  config.schedule.decay_epochs = (81.92, 122.88)
  config.train.epochs = 163.84
  return base.choose(variant, config, cpu=cpu)


def cpu(config: ConfigDict) -> ConfigDict:
  """12 epochs at a falling rate, with more weight decay."""
  config.optimizer.weight_decay = 5e-4
  config.schedule.name = 'cosine'
  config.schedule.warmup_epochs = 1.0
  config.train.epochs = 12.0
  return config
