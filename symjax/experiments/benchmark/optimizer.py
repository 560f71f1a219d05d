"""The price of unit-norm optimisation, against plain SGD and against PyTorch."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import optax

from symjax.experiments.benchmark.compare import compare
from symjax.experiments.benchmark.eager import eager_descent
from symjax.experiments.benchmark.kernels import vgg_kernels
from symjax.experiments.benchmark.training import CLASSES, SHAPE, training_step
from symjax.models import get_model
from symjax.optim import (
  by_path,
  normalize_filters,
  riemannian_sgd,
  sphere_rules,
  start_on_sphere,
  unit_norm,
)

_RATE = 0.1
_BATCH = 32
_REPEATS = 9  # Of training steps, which take seconds on a CPU.


def benchmark_optimizer() -> Iterator[dict[str, Any]]:
  """The UN update (arXiv:1511.01029, Eq. 2, without momentum) of VGG-16.

  Yields:
    `unit_norm_update` and `unit_norm_update_of_any_base`: of all its convolution
    kernels, by `riemannian_sgd` and by `unit_norm(optax.sgd(...))`, against plain
    SGD's. `unit_norm_training`: a whole training step, of which `overhead` is the
    part that plain SGD's does without. `unit_norm_update_in_pytorch`, where PyTorch
    is there: of the kernels, against the same operations in PyTorch.
  """
  descend = _update(riemannian_sgd(_RATE))
  sgd = 'optax.sgd and optax.apply_updates, jitted, params donated, same kernels'
  yield compare('unit_norm_update', descend, _update(optax.sgd(_RATE)), sgd)
  yield compare(
    'unit_norm_update_of_any_base',
    _update(unit_norm(optax.sgd(_RATE))),
    _update(optax.sgd(_RATE)),
    sgd,
  )
  record = compare(
    'unit_norm_training',
    _training('sphere'),
    _training('flat'),
    'the same step with plain SGD: forward, backward, update of a full VGG-16 with '
    f'BatchNorm and one dense layer, {_BATCH} images {list(SHAPE)}, float32',
    _REPEATS,
  )
  yield record | {'overhead': record['ratio'] - 1}
  eager = eager_descent(*_kernels_and_gradients(), _RATE)
  if eager is not None:
    yield compare(
      'unit_norm_update_in_pytorch',
      descend,
      eager,
      'projection, step and normalisation in eager PyTorch, same kernels [o, i, h, w]',
    )


def _kernels_and_gradients() -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
  return normalize_filters(vgg_kernels(seed=0)), vgg_kernels(seed=1)


def _update(optimizer: optax.GradientTransformation) -> Callable[[], None]:
  """A function that moves VGG-16's kernels once."""
  params, gradients = _kernels_and_gradients()
  state = optimizer.init(params)

  def move(params: Any, state: Any, gradients: Any) -> tuple[Any, Any]:
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state

  jitted = jax.jit(move, donate_argnums=(0, 1))

  def update() -> None:
    nonlocal params, state
    params, state = jax.block_until_ready(jitted(params, state, gradients))

  return update


def _training(name: str) -> Callable[[], None]:
  """A function that trains a full VGG-16 for one step of SGD, 'flat' or on spheres."""
  model: Any = get_model('vgg', CLASSES, batch_norm=True, head='average')
  flat = optax.sgd(_RATE)
  optimizer = {
    'flat': flat,
    'sphere': by_path(
      {'sphere': riemannian_sgd(_RATE), 'flat': flat},
      sphere_rules(model.normalized_kernels),
    ),
  }[name]
  return training_step(
    model,
    optimizer,
    _BATCH,
    functools.partial(start_on_sphere, normalized_kernels=model.normalized_kernels),
  )
