"""A small VGG on `rendered_digits`, which symjax renders itself: nothing to download.

python -m run.train --config=configs/digits_vgg.py
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '' and 'smoke'."""
  config = base.get_base()
  config.data.name = 'rendered_digits'
  config.augmentation.shift = 2
  config.model.depth = 11
  config.model.width = 0.25
  config.model.stages = 4
  config.train.epochs = 4.0
  config.schedule.warmup_epochs = 0.5
  return base.choose(variant, config)
