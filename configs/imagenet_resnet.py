"""ResNet on ImageNet: document A's Fig. 4, 7, 9 and 10, in which the mean kernels of
strided layers are less symmetric than the others, and what mends that.

Images of 224 pixels leave every strided layer a row and a column over, images of 225
none. The other remedies are `--config.model.padding=partial`,
`--config.model.downsampling=balanced` and `=blur`.

    python -m run.train --config=configs/imagenet_resnet.py:resnet18_225
"""

import functools

from ml_collections import ConfigDict

from configs import base

DEPTHS = (18, 34, 50, 101, 152)


def get_config(variant: str = '') -> ConfigDict:
  """ResNet-50 at 224 pixels.

  Variants: '', 'resnet<depth>' for each depth of `DEPTHS` at 224 pixels,
  'resnet<depth>_225' at 225, and 'smoke'.
  """
  config = base.use_imagenet(base.get_resnet(50))
  variants = {
    f'resnet{depth}{suffix}': functools.partial(resnet, depth=depth, size=size)
    for depth in DEPTHS
    for suffix, size in (('', 224), ('_225', 225))
  }
  return base.choose(variant, config, **variants)


def resnet(config: ConfigDict, depth: int, size: int) -> ConfigDict:
  """Another depth and image size."""
  config.model.depth = depth
  config.data.image_size = size
  return config
