"""Counting heads in `rendered_counts`, which symjax renders itself, with a small VGG.

The network of `digits_vgg.py` with one output: the number of heads, 0 to 9. "On
symmetries in convolutional weights" finds no highly symmetric filters after such a
training (Fig. 3, middle). `:classes` is the twin to compare with: the same images,
network and recipe, and the count as one of ten classes.

    python -m run.train --config=configs/counts_vgg.py
    python -m run.train --config=configs/counts_vgg.py:classes
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '' (the count is a number), 'classes' and 'smoke'."""
  config = base.get_vgg()
  config.data.name = 'rendered_counts'
  config.augmentation.flip = True
  config.augmentation.shift = 1
  config.model.depth = 11
  config.model.width = 0.25
  config.model.stages = 4
  config.optimizer.learning_rate = 0.05
  config.schedule.warmup_epochs = 0.1
  config.train.batch_size = 64
  config.train.epochs = 5.0
  return base.choose(variant, config, classes=classes)


def classes(config: ConfigDict) -> ConfigDict:
  """The count is a class: softmax over ten."""
  config.data.name = 'rendered_count_classes'
  return config
