"""ResNet-18 on Places365 (document A's Fig. 7: the same network on another set).

python -m run.train --config=configs/places365_resnet.py

The recipe is that of `imagenet_resnet.py`.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '' and 'smoke'."""
  config = base.use_places365(base.get_resnet(18))
  return base.choose(variant, config)
