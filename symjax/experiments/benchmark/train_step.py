"""Whole training steps, against plain XLA and against PyTorch."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import optax

from symjax.experiments.benchmark.blocks import BasicBlocks
from symjax.experiments.benchmark.compare import compare
from symjax.experiments.benchmark.torch_training import torch_training
from symjax.models import get_model
from symjax.nn import ConvPolicy, CostTable
from symjax.training import devices
from symjax.training.images import Augmentation, Normalization
from symjax.training.state import create_state
from symjax.training.step import make_train_step
from symjax.training.tasks import Classification

_BATCH, _SHAPE, _CLASSES = 64, (32, 32, 3), 10  # Of CIFAR-10.
_REPEATS = 7


def benchmark_train_step(table: CostTable | None = None) -> Iterator[dict[str, Any]]:
  """SGD steps of a VGG-16 with BatchNorm, and of a ResNet-18's basic blocks.

  Args:
    table: by which 'auto' chooses; None is the one that comes with symjax.

  Yields:
    For both networks `train_step_xla`, against the same step by plain XLA, and where
    PyTorch is there `train_step_pytorch`, against the same network in channels-last
    PyTorch with as many threads as cores. `speedup` is the ratio of throughputs.
  """
  chosen, plain = ConvPolicy(costs=table), ConvPolicy(algorithm='xla')
  for name, make in (('vgg16', _vgg), ('resnet18_blocks', _blocks)):
    step = train_step(make(chosen))
    what = f'{_BATCH} images {list(_SHAPE)}, float32, SGD'
    yield _record(
      compare(
        'train_step_xla',
        step,
        train_step(make(plain)),
        f'the same step by lax.conv_general_dilated: {name}, {what}',
        _REPEATS,
      ),
      name,
    )
    other = torch_training(name, _BATCH, _SHAPE, _CLASSES)
    if other is not None:
      yield _record(
        compare(
          'train_step_pytorch',
          step,
          other,
          f'the same step in PyTorch, channels last: {name}, {what}',
          _REPEATS,
        ),
        name,
      )


def _record(record: dict[str, Any], name: str) -> dict[str, Any]:
  return record | {
    'network': name,
    'speedup': 1 / record['ratio'],
    'images_per_second': _BATCH / record['seconds'],
  }


def _vgg(policy: ConvPolicy) -> Any:
  return get_model('vgg', _CLASSES, policy, batch_norm=True, head='average')


def _blocks(policy: ConvPolicy) -> Any:
  return BasicBlocks(_CLASSES, policy)


def train_step(model: Any) -> Callable[[], None]:
  """A function that trains the model for one step of plain SGD."""
  optimizer = optax.sgd(0.01)
  normalization = Normalization((0.5,) * 3, (0.25,) * 3)
  mesh = devices.make_mesh(_BATCH)
  step = devices.jit(
    make_train_step(
      model, optimizer, Classification(), normalization, Augmentation(), seed=0
    ),
    mesh,
    donate_state=True,
  )
  state = create_state(model, optimizer, _SHAPE, 0)
  state = jax.device_put(state, devices.replicated(mesh))
  rng = np.random.default_rng(0)
  batch = devices.place_batch(
    mesh,
    {
      'image': rng.integers(0, 256, (_BATCH, *_SHAPE), np.uint8),
      'label': rng.integers(0, _CLASSES, _BATCH, np.int32),
    },
  )

  def train() -> None:
    nonlocal state
    state, _ = step(state, batch)
    jax.block_until_ready(state)

  return train
