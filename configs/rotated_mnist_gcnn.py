r"""Digits turned by any angle, and a network that quarter turns and mirrors do not
change: where a symmetry holds (chapter 14, "Symmetry").

`:plain_equal_parameters` follows the same plan without the symmetry, in 9,264
parameters against 9,165; `:plain_equal_channels` has its 40 planes, and so eight times
its parameters; `:p4` has quarter turns only, and half its parameters. `README.md`
beside this has what they reached from 100, 300 and 1,000 training images.

    python -m run.train --config=configs/rotated_mnist_gcnn.py
    python -m run.sweep --config=configs/rotated_mnist_gcnn.py \
        --config=configs/rotated_mnist_gcnn.py:plain_equal_parameters \
        --grid=data.train_examples=100,300,1000 --grid=seed=0,1,2,3,4
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '', 'p4', 'plain_equal_channels', 'plain_equal_parameters', 'smoke'."""
  config = base.get_gcnn()
  config.data.name = 'rotated_mnist'
  config.data.mean = (0.1306,)  # Of the training split.
  config.data.std = (0.2898,)
  return base.choose(
    variant,
    config,
    p4=base.p4,
    plain_equal_channels=base.plain_equal_channels,
    plain_equal_parameters=base.plain_equal_parameters,
  )
