"""AlexNet on Places365, of the networks of document A's Fig. 1.

python -m run.train --config=configs/places365_alexnet.py
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '' and 'smoke'."""
  return base.choose(variant, base.use_places365(base.get_alexnet()))
