"""ResNet-18 on CIFAR-10, with its stem for small images: 3x3, and no maximum after it.

The recipe is the usual one for this network: 200 epochs of SGD at a rate that falls to
zero along a cosine. Three strided layers read even maps, whose border they treat
unevenly: the network on which to compare what mends that.

    python -m run.train --config=configs/cifar10_resnet18.py

`:short` has a quarter of the channels and two epochs, for sweeps on a CPU.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '', 'short' and 'smoke'."""
  config = base.get_resnet(18)
  config.data.name = 'cifar10'
  config.data.mean = (0.4914, 0.4822, 0.4465)  # Of the training split.
  config.data.std = (0.2470, 0.2435, 0.2616)
  config.augmentation.flip = True
  config.augmentation.shift = 4
  config.model.stem = 'cifar'
  config.optimizer.weight_decay = 5e-4
  config.schedule.name = 'cosine'
  config.schedule.decay_epochs = ()
  config.train.batch_size = 128
  config.train.epochs = 200.0
  return base.choose(variant, config, short=short)


def short(config: ConfigDict) -> ConfigDict:
  """Minutes on two CPU cores: it shows tendencies, not what the network can do."""
  config.model.width = 0.25
  config.schedule.warmup_epochs = 0.25
  config.train.batch_size = 64
  config.train.epochs = 2.0
  return config
