"""Inception-v3 on ImageNet (document A's Fig. 2 and 6).

At 299 pixels no strided layer has anything left over, and none of them pads. The
images are from -1 to 1, as for torchvision's weights; these were trained by others,
and the recipe here is that of the ResNets.

    python -m run.train --config=configs/imagenet_inception.py
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '' and 'smoke'."""
  config = base.get_base('inception_v3')
  base.use_imagenet(base.use_step_schedule(config))
  config.data.image_size = 299
  config.data.mean = (0.5, 0.5, 0.5)
  config.data.std = (0.5, 0.5, 0.5)
  config.model.width = 1.0
  config.model.auxiliary = True
  return base.choose(variant, config)
