"""Whole training steps, against plain XLA and against PyTorch."""

from collections.abc import Callable, Iterator
from typing import Any

import optax

from symjax.experiments.benchmark.blocks import BasicBlocks
from symjax.experiments.benchmark.compare import compare
from symjax.experiments.benchmark.torch_training import torch_training
from symjax.experiments.benchmark.training import CLASSES, SHAPE, training_step
from symjax.models import get_model
from symjax.nn import ConvPolicy, CostTable

_BATCH = 64
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
    step = _step(make(chosen))
    what = f'{_BATCH} images {list(SHAPE)}, float32, SGD'
    yield _record(
      compare(
        'train_step_xla',
        step,
        _step(make(plain)),
        f'the same step by lax.conv_general_dilated: {name}, {what}',
        _REPEATS,
      ),
      name,
    )
    other = torch_training(name, _BATCH, SHAPE, CLASSES)
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
  return get_model('vgg', CLASSES, policy, batch_norm=True, head='average')


def _blocks(policy: ConvPolicy) -> Any:
  return BasicBlocks(CLASSES, policy)


def _step(model: Any) -> Callable[[], None]:
  return training_step(model, optax.sgd(0.01), _BATCH)
