r"""FCN-ResNet50 on CamVid, with zero padding: the baseline of document A's Table 1, on
data that can be had. What it is compared with are
`--config.model.padding=partial` and `=reflect`, and `--config.model.downsampling=blur`.

    python -m run.train --config=configs/camvid_fcn.py --manual_dir=DIR \
      --init_weights=FILE
    python -m run.evaluate --workdir=runs/camvid_fcn

DIR holds the folders and lists of the SegNet tutorial, and FILE the weights of a
ResNet-50 that classifies, such as torchvision's or those of a run of
`imagenet_resnet.py`; without them it starts at random. Optimiser and second head are
torchvision's recipe for COCO, at a rate in proportion to the batch.

`:cpu` is for CPUs, 7 minutes a run on one core: images of 90x120 pixels, a ResNet-18
with half the channels, 30 epochs. It starts at random, at a rate from the middle of
those (0.02 to 0.1) that did about equally well on the validation images after 8 epochs.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '', 'cpu' and 'smoke'."""
  config = base.get_fcn(50)
  config.data.name = 'camvid'
  config.augmentation.scale = (0.75, 1.5)
  config.optimizer.learning_rate = 0.005
  config.train.batch_size = 8
  config.train.epochs = 100.0
  return base.choose(variant, config, cpu=cpu)


def cpu(config: ConfigDict) -> ConfigDict:
  """Half the side of 240x180 images, a ResNet-18 of half the channels."""
  config.data.image_size = (90, 120)
  config.model.depth = 18
  config.model.width = 0.5
  config.optimizer.learning_rate = 0.05
  config.train.epochs = 30.0
  return config
