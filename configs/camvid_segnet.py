r"""SegNet-Basic on CamVid by plain SGD: the other side of document B's section 5, which
trains it by plain unit-norm updates ("UN") for 100 epochs and shows pictures.

    python -m run.train --config=configs/camvid_segnet.py --manual_dir=DIR
    python -m run.train --config=configs/camvid_segnet.py --manual_dir=DIR \
      --config.optimizer.name=unit_norm

DIR holds the folders and lists of the SegNet tutorial, with images of any one size.
Document B gives no rate and no weights of classes: these are median frequencies, and of
the rates 0.2, 0.5 and 1 the best for UN by the mIoU of the validation images after 8
epochs of `:cpu`; SGD did as well or better at 1. `:tutorial` is the SegNet tutorial's
recipe, with momentum and decay. BatchNorm's statistics of test time are
recomputed over the training split at the end, as there.

`:cpu` is for CPUs, 9 minutes a run on one core: images of 90x120 pixels, half of the
channels, 30 epochs and a falling rate. `README.md` beside this has what it reaches.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '', 'tutorial', 'cpu' and 'smoke'."""
  config = base.get_segmentation('segnet')
  config.data.name = 'camvid'
  config.data.mean = (0.0, 0.0, 0.0)  # Its first layer is for pixels of 0 to 255.
  config.data.std = (1 / 255, 1 / 255, 1 / 255)
  config.task.class_weights = 'median_frequency'
  config.model.encoder = 'basic'
  config.model.width = 1.0
  config.optimizer.learning_rate = 0.5
  config.optimizer.momentum = 0.0
  config.optimizer.weight_decay = 0.0
  config.schedule.name = 'constant'
  config.schedule.warmup_epochs = 0.0
  config.train.batch_size = 4
  config.train.epochs = 100.0
  config.train.recalibrate_batch_norm = True
  return base.choose(variant, config, tutorial=tutorial, cpu=cpu)


def tutorial(config: ConfigDict) -> ConfigDict:
  """The authors' solver and weights of classes: 10,000 steps, here 9,999.

  All parameters share a rate, where theirs doubles that of biases.
  """
  config.task.class_weights = 'segnet_camvid'
  config.optimizer.learning_rate = 0.1
  config.optimizer.momentum = 0.9
  config.optimizer.weight_decay = 5e-4
  config.train.epochs = 109.0
  return config


def cpu(config: ConfigDict) -> ConfigDict:
  """Half the side of 240x180 images, half of the channels, fewer epochs."""
  config.data.image_size = (90, 120)
  config.model.width = 0.5
  config.schedule.name = 'poly'
  config.train.epochs = 30.0
  return config
