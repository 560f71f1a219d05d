"""ArchBN of arXiv:1511.01029 on MNIST, under the paper's unit-norm updates (Table 1).

Pixels in [0, 1], batches of 100, plain SGD without momentum, as in section 4. The loss
is a mean over the batch here, so the rate of 1 is the paper's protocol at 0.01 with a
sum over the batch. In place of the bold driver, which drives `run.table2`, the rate
falls along a cosine.

    python -m run.train --config=configs/mnist_archbn.py
    python -m run.train --config=configs/mnist_archbn.py --config.optimizer.name=sgd
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '' and 'smoke'."""
  config = base.get_base('archbn')
  config.data.name = 'mnist'
  config.data.mean = (0.0,)
  config.data.std = (1.0,)
  config.model.depth = 2
  config.model.features = 64
  config.optimizer.name = 'unit_norm'
  config.optimizer.learning_rate = 1.0
  config.optimizer.momentum = 0.0
  config.optimizer.weight_decay = 0.0
  config.schedule.warmup_epochs = 0.0
  config.train.batch_size = 100
  config.train.epochs = 25.0
  return base.choose(variant, config)
