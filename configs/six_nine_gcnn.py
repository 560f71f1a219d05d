r"""Sixes against nines, and a network that quarter turns and mirrors do not change:
where a symmetry does not hold (chapter 14, "Symmetry").

Half a turn makes a nine of a six, and that is what this network cannot see.
`:plain_equal_parameters` follows the same plan without the symmetry, in 9,144
parameters against 9,117.

    python -m run.sweep --config=configs/six_nine_gcnn.py \
        --config=configs/six_nine_gcnn.py:plain_equal_parameters --grid=seed=0,1,2,3,4
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '', 'plain_equal_parameters' and 'smoke'."""
  config = base.get_gcnn()
  config.data.name = 'mnist_six_nine'
  config.data.mean = (0.1299,)  # Of the training split.
  config.data.std = (0.3069,)
  config.train.epochs = 10.0
  return base.choose(
    variant, config, plain_equal_parameters=base.plain_equal_parameters
  )
