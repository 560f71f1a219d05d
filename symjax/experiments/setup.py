"""A config and a data set's shape to everything that training needs but the data."""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax
from flax import linen as nn

from symjax import symmetry
from symjax.data import Dataset, Stream, class_weights
from symjax.errors import UserError
from symjax.experiments.data import image_size
from symjax.models import get_model
from symjax.nn import ConvPolicy, CostTable, Layer, smallest_image, trace
from symjax.optim import make_optimizer, make_schedule, start_on_sphere
from symjax.training.averages import require_decay
from symjax.training.images import Augmentation, Normalization
from symjax.training.joint_augmentation import JointAugmentation
from symjax.training.loop import Schedule
from symjax.training.segmentation import Segmentation
from symjax.training.state import TrainState, create_state, start_state
from symjax.training.step import (
  Batch,
  Metrics,
  Task,
  make_eval_step,
  make_train_step,
)
from symjax.training.tasks import TASKS, Classification

_CLASSIFICATION = Classification()


@dataclasses.dataclass(frozen=True)
class Setup:
  """One experiment, ready for data.

  Attributes:
    model: the network.
    task: its losses and metrics.
    normalization: bytes to the numbers that the network sees.
    layers: the layer table at `image_shape`.
    sphere_kernels: patterns of the paths of kernels whose filters the optimiser keeps
      at norm 1.
    learning_rate: over steps.
    schedule: what happens after which step.
    microbatch_size: examples, of all devices, that are worked on at once.
    image_shape: [height, width, channels] of an image as the network sees it.
    create_state: () -> the state before the first step.
    start_state: (variables) -> the state before the first step, from given weights.
    train_step: (state, batch) -> (state, metrics), not yet jitted.
    eval_step: (state, batch) -> sums, not yet jitted.
  """

  model: nn.Module
  task: Task
  normalization: Normalization
  layers: tuple[Layer, ...]
  sphere_kernels: tuple[str, ...]
  learning_rate: optax.Schedule
  schedule: Schedule
  microbatch_size: int
  image_shape: tuple[int, int, int]
  create_state: Callable[[], TrainState]
  start_state: Callable[[Any], TrainState]
  train_step: Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
  eval_step: Callable[[TrainState, Batch], Metrics]


def build(
  config: Mapping[str, Any],
  image_shape: tuple[int, int, int],
  num_classes: int,
  num_examples: int,
  costs: CostTable | None = None,
  task: Task = _CLASSIFICATION,
) -> Setup:
  """Builds an experiment from its config and the shape of its data.

  Args:
    config: plain values, with the groups of `configs/base.py`.
    image_shape: [height, width, channels] of the data set's images.
    num_classes: of the data set; outputs of the network.
    num_examples: of the training split.
    costs: by which the network chooses how to convolve; None is symjax's table.
    task: losses and metrics.

  Raises:
    UserError: a name, number or combination that makes no experiment.
  """
  data, train, seed = config['data'], config['train'], config['seed']
  if not 0 <= seed < 2**32:
    raise UserError(f'seed={seed} is not one of 0..{2**32 - 1}, which JAX tells apart')
  schedule = make_loop_schedule(train, num_examples)
  require_decay(train['ema_decay'])
  averaged = train['ema_decay'] > 0
  learning_rate = make_schedule(
    config['optimizer']['learning_rate'],
    schedule.steps,
    schedule.steps_per_epoch,
    **config['schedule'],
  )
  # The images of a segmentation have their size already, as their labels do.
  size = None if isinstance(task, Segmentation) else image_size(data)
  normalization = Normalization(tuple(data['mean']), tuple(data['std']), size)
  shape = normalization.output_shape(image_shape)
  model = make_model(config['model'], num_classes, costs)
  layers = trace_model(model, shape)
  options = {k: v for k, v in config['optimizer'].items() if k != 'learning_rate'}
  normalized = model.normalized_kernels
  optimizer = make_optimizer(learning_rate, **options, normalized_kernels=normalized)
  spheres = normalized if options['name'] == 'unit_norm' else ()
  prepare = functools.partial(start_on_sphere, normalized_kernels=spheres)
  weight = train['symmetry_weight']
  return Setup(
    model=model,
    task=task,
    normalization=normalization,
    layers=layers,
    sphere_kernels=spheres,
    learning_rate=learning_rate,
    schedule=schedule,
    microbatch_size=train['batch_size'] // train['microbatches'],
    image_shape=shape,
    create_state=functools.partial(
      create_state,
      model,
      optimizer,
      shape,
      seed,
      prepare=prepare,
      averaged=averaged,
    ),
    start_state=functools.partial(
      start_state, optimizer, seed=seed, prepare=prepare, averaged=averaged
    ),
    train_step=make_train_step(
      model,
      optimizer,
      task,
      normalization,
      make_augmentation(config['augmentation'], task),
      penalty=functools.partial(asymmetry, weight) if weight else None,
      auxiliary_weight=train['auxiliary_weight'],
      microbatches=train['microbatches'],
      rematerialize=train['rematerialize'],
      ema_decay=train['ema_decay'],
    ),
    eval_step=make_eval_step(model, task, normalization),
  )


def build_for(
  config: Mapping[str, Any],
  training_set: Dataset | Stream,
  costs: CostTable | None = None,
) -> Setup:
  """As `build`, for the data set that is trained on.

  Raises:
    UserError: as `build`.
  """
  return build(
    config,
    training_set.image_shape,
    training_set.num_classes,
    len(training_set),
    costs,
    make_task(config, training_set),
  )


def make_task(config: Mapping[str, Any], training_set: Dataset | Stream) -> Task:
  """What a network is trained for on a data set.

  Args:
    config: its `task` group says how, where pixels have labels.
    training_set: the training split.

  Raises:
    UserError: the config is of another kind of labels, or class weights that do not
      exist, or do not fit the data set.
  """
  segments = training_set.kind == 'segmentation'
  if segments != ('task' in config):
    name = training_set.name
    raise UserError(
      f'data.name={name}: {name} has a class for every pixel, and this config is for '
      'sets with one label an image; start from configs/camvid_fcn.py or its like'
      if segments
      else f'data.name={name}: {name} has one label an image, and this config is for '
      'sets with a class for every pixel; start from another one'
    )
  if isinstance(training_set, Stream) or not segments:
    return TASKS[training_set.kind]()
  weights = class_weights(config['task']['class_weights'], training_set)
  names = training_set.class_names or map(str, range(training_set.num_classes))
  return Segmentation(tuple(names), training_set.ignore_label, tuple(weights.tolist()))


def make_augmentation(
  group: Mapping[str, Any], task: Task
) -> Augmentation | JointAugmentation:
  """What happens to training images, and to the labels of their pixels with them.

  Args:
    group: a config's `augmentation`.
    task: whether pixels have labels, and which one is of those outside of an image.

  Raises:
    UserError: a value that makes no augmentation.
  """
  if not isinstance(task, Segmentation):
    return Augmentation(**group)
  # As a record on disk has them, pairs are lists.
  own: dict[str, Any] = {
    name: tuple(value) if isinstance(value, list) else value
    for name, value in group.items()
  }
  return JointAugmentation(**own, ignore_label=task.ignore_label)


def make_model(
  group: Mapping[str, Any], num_classes: int, costs: CostTable | None = None
) -> Any:
  """The network of a config's `model` group, whose policy fields stand beside it."""
  fields = {field.name for field in dataclasses.fields(ConvPolicy)} - {'costs'}
  policy = ConvPolicy(**{k: v for k, v in group.items() if k in fields}, costs=costs)
  others = {k: v for k, v in group.items() if k not in fields and k != 'cost_table'}
  return get_model(num_classes=num_classes, policy=policy, **others)


def trace_model(
  model: nn.Module, image_shape: tuple[int, int, int]
) -> tuple[Layer, ...]:
  """The layer table; images that are too small are refused with the size that works.

  Raises:
    UserError: the model does not take images of `image_shape`.
  """
  try:
    return trace(model, image_shape, train=False)
  except UserError as error:
    side = smallest_image(model, image_shape[-1], train=False)
    if side is None or side <= min(image_shape[:2]):
      raise
    raise UserError(
      f'{error} (the smallest that this network takes is data.image_size={side})'
    ) from None


def make_loop_schedule(train: Mapping[str, Any], num_examples: int) -> Schedule:
  """What happens after which step, from a config's `train` group.

  Raises:
    UserError: a size or length that is not positive, or less than a step of training.
  """
  for name in ('batch_size', 'microbatches', 'epochs', 'log_every', 'checkpoint_every'):
    if not 0 < train[name] < math.inf:
      raise UserError(f'train.{name}={train[name]} must be positive')
  # The product first: it is exact, where a quotient might fall short of a whole step.
  steps = int(train['epochs'] * num_examples // train['batch_size'])
  if steps < 1:
    raise UserError(
      f'train.epochs={train["epochs"]} over {num_examples} examples is less than one '
      f'batch of {train["batch_size"]}; train for longer or in smaller batches'
    )
  return Schedule(
    steps,
    num_examples,
    train['batch_size'],
    train['log_every'],
    train['checkpoint_every'],
  )


def precision(config: Mapping[str, Any]) -> contextlib.AbstractContextManager[Any]:
  """The context in which a config's arrays are made: float64 has to be allowed."""
  wide = config['model']['dtype'] == 'float64'
  return jax.enable_x64(True) if wide else contextlib.nullcontext()


def asymmetry(weight: float, params: Any) -> jax.Array:
  """The regulariser `train.symmetry_weight`: weight times (1 - mean symmetry)."""
  return weight * (1 - symmetry.mean_symmetry(params))
