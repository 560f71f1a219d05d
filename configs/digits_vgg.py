"""A small VGG on `rendered_digits`, which symjax renders itself: nothing to download.

VGG-11 with BatchNorm, a quarter as wide and with four of its five stages. Two CPU cores
render the data in about 20 seconds and train for about two and a half minutes;
`README.md` beside this has the accuracy and the symmetry.

    python -m run.train --config=configs/digits_vgg.py
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '' and 'smoke'."""
  config = base.get_vgg()
  config.data.name = 'rendered_digits'
  config.augmentation.shift = 1
  config.model.depth = 11
  config.model.width = 0.25
  config.model.stages = 4
  config.optimizer.learning_rate = 0.05
  config.schedule.warmup_epochs = 0.1
  config.train.batch_size = 64
  config.train.epochs = 3.75
  return base.choose(variant, config)
