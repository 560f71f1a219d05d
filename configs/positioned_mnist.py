"""Where translation symmetry does not hold: the label is the place of a digit.

MNIST digits at random places of a 40x40 canvas; the label is the quadrant. Three
convolutions of stride 2 with 3x3 kernels, 40 -> 20 -> 10 -> 5 pixels, and a dense layer
on their average over positions. The variants differ in what tells places apart:

- '' (circular padding): nothing. Its logits stay the same under every circular
  translation by 8 pixels, so no training brings it above chance, 25%;
- 'zero': the border, which zero padding marks;
- 'coordinates': two channels with the row and the column of each pixel;
- 'full': everything, as a fully connected network shares no weight.

    python -m run.train --config=configs/positioned_mnist.py
    python -m run.train --config=configs/positioned_mnist.py:zero

`README.md` beside this has the results.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '' (circular), 'zero', 'coordinates', 'full' and 'smoke'."""
  config = base.get_base('connected')
  config.data.name = 'positioned_mnist'
  config.data.mean = (0.0620,)  # Of the training split.
  config.data.std = (0.2223,)
  config.data.train_examples = 2000
  config.data.test_examples = 2000
  config.model.connection = 'convolutional'
  config.model.features = (8, 16, 32)
  config.model.head = 'average'
  config.model.coordinates = False
  config.model.padding = 'circular'
  config.optimizer.name = 'adamw'
  config.optimizer.learning_rate = 2e-3
  config.optimizer.weight_decay = 1e-4
  config.train.batch_size = 50
  config.train.epochs = 10.0
  return base.choose(variant, config, zero=zero, coordinates=coordinates, full=full)


def zero(config: ConfigDict) -> ConfigDict:
  """The border tells places apart."""
  config.model.padding = 'zero'
  return config


def coordinates(config: ConfigDict) -> ConfigDict:
  """Coordinates do, and nothing else."""
  config.model.coordinates = True
  return config


def full(config: ConfigDict) -> ConfigDict:
  """No weight is shared; there is no border."""
  config.model.padding = 'zero'
  config.model.connection = 'full'
  config.model.head = 'flatten'
  return config
