"""What every config has; a file of its own says only what differs."""

from collections.abc import Callable

from ml_collections import ConfigDict, config_dict

from symjax.errors import UserError

# Of the training split, in which nearly all published networks take their images.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Variant = Callable[[ConfigDict], ConfigDict]


def get_base(model: str) -> ConfigDict:
  """The fields of an image classification experiment, and what they mean.

  None stands for 'as the data have it'. A group holds the arguments of one
  constructor, which documents them.

  Args:
    model: name of the network. Its own fields, such as `depth`, are the config's to
      add.
  """
  config = ConfigDict()
  config.seed = 0  # Of initial parameters, batch order, and all that training draws.

  config.data = ConfigDict()
  config.data.name = ''  # Any TFDS image classification set, or one of symjax's.
  config.data.test_split = 'test'  # As TFDS names it; some have no labels there.
  config.data.mean = (0.5, 0.5, 0.5)  # symjax.training.images.Normalization
  config.data.std = (0.25, 0.25, 0.25)
  config.data.image_size = config_dict.placeholder(int)  # Resized to; pixels.
  config.data.center_crop = 1.0  # Share of a side that is seen of a whole image.
  config.data.stream = False  # Decodes training images as they are needed.
  config.data.crop_area = config_dict.placeholder(tuple)  # symjax.data.Stream
  config.data.train_examples = config_dict.placeholder(int)  # The first so many.
  config.data.test_examples = config_dict.placeholder(int)
  config.data.fake = False  # Made-up images where the set is not at hand.

  config.augmentation = ConfigDict()  # symjax.training.images.Augmentation
  config.augmentation.flip = False
  config.augmentation.rotation = 0.0
  config.augmentation.shift = 0

  config.model = ConfigDict()  # symjax.models.get_model, symjax.nn.ConvPolicy
  config.model.name = model
  config.model.padding = 'zero'
  config.model.widths = 'explicit'
  config.model.downsampling = 'stride'
  config.model.blur_size = 4
  config.model.balanced_evaluation = 'fixed'
  config.model.algorithm = 'auto'
  config.model.cost_table = config_dict.placeholder(str)  # File, for 'auto'.
  config.model.dtype = 'float32'

  config.optimizer = ConfigDict()  # symjax.optim.make_optimizer
  config.optimizer.name = 'sgd'
  config.optimizer.learning_rate = 0.1
  config.optimizer.momentum = 0.9
  config.optimizer.weight_decay = 5e-4
  config.optimizer.clip_norm = config_dict.placeholder(float)  # Of all gradients.

  config.schedule = ConfigDict()  # symjax.optim.make_schedule
  config.schedule.name = 'cosine'
  config.schedule.warmup_epochs = 1.0
  config.schedule.decay_epochs = ()
  config.schedule.decay_factor = 0.1

  config.train = ConfigDict()
  config.train.batch_size = 128
  config.train.microbatches = 1  # Parts of a batch, one after another; one update.
  config.train.rematerialize = False  # Computes cheap activations again, going back.
  config.train.ema_decay = 0.0  # Per step, of the averaged weights; 0 averages none.
  config.train.epochs = 10.0
  config.train.symmetry_weight = 0.0  # Times (1 - mean symmetry), added to the loss.
  config.train.auxiliary_weight = 0.4  # Times the loss of a network's second head.
  config.train.recalibrate_batch_norm = False  # At the end, on the training split.
  config.train.log_every = 20  # Steps.
  config.train.checkpoint_every = 500  # Steps; every epoch ends with one as well.
  return config


def get_segmentation(model: str) -> ConfigDict:
  """The fields of an experiment in which every pixel has a class.

  They are those of a classification, with augmentation that labels follow, a group
  about the loss, and sizes to which images and labels are brought when they are read.

  Args:
    model: name of the network.
  """
  config = get_base(model)
  del config.data.image_size  # A square's; a field keeps its type.
  config.data.image_size = config_dict.placeholder(tuple)  # Height and width; pixels.
  config.data.shorter_side = config_dict.placeholder(int)  # On a larger canvas.

  config.augmentation = ConfigDict()  # symjax.training.joint_augmentation
  config.augmentation.flip = False
  config.augmentation.scale = (1.0, 1.0)
  config.augmentation.crop = config_dict.placeholder(tuple)
  config.augmentation.shift = 0

  config.task = ConfigDict()  # symjax.training.segmentation.Segmentation
  config.task.class_weights = 'equal'  # A name of symjax.data.class_weights.

  config.optimizer.rate_factors = ()  # (pattern of parameters' paths, factor), ...
  return config


def get_fcn(depth: int) -> ConfigDict:
  """An FCN on a ResNet, and torchvision's optimiser for it, for batches of 32.

  torchvision decays BatchNorm's parameters and biases as well, which symjax does not.
  """
  config = get_segmentation('fcn')
  config.model.depth = depth
  config.model.width = 1.0
  config.model.output_stride = 8
  config.model.auxiliary = True
  config.data.mean = IMAGENET_MEAN
  config.data.std = IMAGENET_STD
  config.augmentation.flip = True
  config.optimizer.learning_rate = 0.02
  config.optimizer.weight_decay = 1e-4
  config.optimizer.rate_factors = (('aux_classifier_.*', 10.0),)
  config.schedule.name = 'poly'
  config.schedule.warmup_epochs = 0.0
  config.train.auxiliary_weight = 0.5
  return config


def get_vgg() -> ConfigDict:
  """A VGG-16 with BatchNorm and one dense layer."""
  config = get_base('vgg')
  config.model.depth = 16
  config.model.batch_norm = True
  config.model.head = 'average'
  config.model.width = 1.0
  config.model.stages = 5
  return config


def get_resnet(depth: int) -> ConfigDict:
  """A ResNet as published for ImageNet, and He's recipe as torchvision has it."""
  config = get_base('resnet')
  config.model.depth = depth
  config.model.width = 1.0
  config.model.stem = 'imagenet'
  config.model.output_stride = config_dict.placeholder(int)  # Published: 32.
  return use_step_schedule(config)


def get_alexnet() -> ConfigDict:
  """An AlexNet, and torchvision's recipe."""
  config = get_base('alexnet')
  config.model.width = 1.0
  use_step_schedule(config)
  config.optimizer.learning_rate = 0.01
  return config


def use_step_schedule(config: ConfigDict) -> ConfigDict:
  """90 epochs in batches of 256, at a tenth of the rate after each 30."""
  config.optimizer.weight_decay = 1e-4
  config.schedule.name = 'step'
  config.schedule.warmup_epochs = 0.0
  config.schedule.decay_epochs = (30, 60)
  config.train.batch_size = 256
  config.train.epochs = 90.0
  return config


def use_imagenet(config: ConfigDict) -> ConfigDict:
  """ImageNet at 224 pixels: random crops, resized and mirrored, as in torchvision.

  Training images are decoded as they are needed. Test images are decoded once, into
  a cache of 7 GiB; of each are seen 224 pixels at the centre of a shorter side of 256,
  and as large a share at another `data.image_size`.
  """
  config.data.name = 'imagenet2012'
  config.data.test_split = 'validation'
  config.data.mean = IMAGENET_MEAN
  config.data.std = IMAGENET_STD
  config.data.image_size = 224
  config.data.center_crop = 224 / 256
  config.data.stream = True
  config.data.crop_area = (0.08, 1.0)
  config.augmentation.flip = True
  return config


def use_places365(config: ConfigDict) -> ConfigDict:
  """Places365 in the same way; its images have 256 pixels."""
  use_imagenet(config)
  config.data.name = 'places365_small'
  return config


def get_gcnn() -> ConfigDict:
  """A p4m network on digits, in a recipe for few examples and one CPU core.

  Images of 28 pixels are halved, so that a run on 1,000 of them takes a minute.
  """
  config = get_base('gcnn')
  config.data.image_size = 14
  config.data.train_examples = 1000
  config.data.test_examples = 1000
  config.model.group = 'p4m'
  config.model.channels = 5
  config.model.depth = 6
  config.optimizer.name = 'adamw'
  config.optimizer.learning_rate = 0.005
  config.optimizer.weight_decay = 0.01
  config.train.batch_size = 25
  config.train.epochs = 20.0
  return config


def p4(config: ConfigDict) -> ConfigDict:
  """Of a GCNN: quarter turns without mirrors."""
  config.model.group = 'p4'
  return config


def plain_equal_parameters(config: ConfigDict) -> ConfigDict:
  """Of a GCNN: the plain network with the nearest number of parameters, 1% more."""
  config.model.group = 'p1'
  config.model.channels = 14
  return config


def plain_equal_channels(config: ConfigDict) -> ConfigDict:
  """Of a GCNN: the plain network with as many planes."""
  config.model.group = 'p1'
  config.model.channels *= 8
  return config


def narrow(config: ConfigDict) -> ConfigDict:
  """The VGG of CPU-sized runs on 32x32 images: half as wide, no map under 4x4."""
  config.model.batch_norm = True
  config.model.head = 'average'
  config.model.width = 0.5
  config.model.stages = 4
  return config


def full(config: ConfigDict) -> ConfigDict:
  """The published channels and stages, and a longer training, for an accelerator."""
  config.model.width = 1.0
  config.model.stages = 5
  config.train.epochs = 100.0
  return config


def smoke(config: ConfigDict) -> ConfigDict:
  """A run of seconds that goes through everything: few images, few channels."""
  config.data.fake = True
  config.data.train_examples = 64
  config.data.test_examples = 32
  if 'width' in config.model:
    config.model.width = 1 / 16
  shallow = {'fcn': 18, 'gcnn': 3, 'resnet': 18}  # It is the compiler that takes long.
  if config.model.name in shallow:
    config.model.depth = shallow[config.model.name]
  config.train.batch_size = 16
  config.train.epochs = 2.0
  config.train.log_every = 2
  config.schedule.warmup_epochs = 0.0
  if 'task' in config:  # A segmentation, whose images are made of the size asked for.
    config.data.image_size = (18, 24)
    config.data.shorter_side = None
    config.augmentation.crop = None
  return config


def choose(variant: str, config: ConfigDict, **variants: Variant) -> ConfigDict:
  """The variant of a config that was asked for.

  Args:
    variant: what followed the colon of `--config=FILE:variant`; '' is the config
      itself.
    config: to change.
    **variants: name -> function that changes and returns the config. Every config
      has `smoke`.

  Raises:
    UserError: there is no such variant.
  """
  variants = {'smoke': smoke, **variants}
  if variant:
    if variant not in variants:
      raise UserError(
        f'unknown config variant {variant!r}; choose from {", ".join(sorted(variants))}'
      )
    config = variants[variant](config)
  return config.lock()
