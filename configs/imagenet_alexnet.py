"""AlexNet on ImageNet. Document A's Fig. 1 has the mean kernels of AlexNets that were
trained on different sets; the others here are `places365_alexnet.py` and
`cifar10_alexnet.py`.

    python -m run.train --config=configs/imagenet_alexnet.py
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '' and 'smoke'."""
  return base.choose(variant, base.use_imagenet(base.get_alexnet()))
