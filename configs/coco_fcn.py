r"""FCN-ResNet50 on the 20 VOC classes of COCO, as torchvision trains it: document A's
Table 1 has its weights as the baseline (mIoU 60.5, flip consistency 91.42, shift
consistency 95.42), and PartialConv (60.7, 93.61, 98.06) without saying how that was
trained: `--config.model.padding=partial` is this recipe under it.

    python -m run.train --config=configs/coco_fcn.py --manual_dir=DIR \
      --init_weights=resnet50-0676ba61.pth

Not run: COCO was not at hand. Its 92,000 training images take 170 GiB decoded, on disk
and in memory. torchvision has 8 GPUs of 4 images each, and BatchNorm over all of them,
as symjax always has it; it starts from the ResNet-50 above.

Images lie on a canvas of 704 pixels with a shorter side of 520, which is torchvision's
size for evaluation; those longer than 704 pixels then are made smaller.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = '') -> ConfigDict:
  """Variants: '', 'resnet101' and 'smoke'."""
  config = base.get_fcn(50)
  config.data.name = 'coco_voc'
  config.data.test_split = 'validation'
  config.data.image_size = (704, 704)
  config.data.shorter_side = 520
  config.augmentation.scale = (0.5, 2.0)  # Shorter sides of 260 to 1040.
  config.augmentation.crop = (480, 480)
  config.train.batch_size = 32
  config.train.epochs = 30.0
  return base.choose(variant, config, resnet101=resnet101)


def resnet101(config: ConfigDict) -> ConfigDict:
  """On the deeper network."""
  config.model.depth = 101
  return config
