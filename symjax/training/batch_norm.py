"""BatchNorm's statistics of given images, without the momentum of training."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import struct
from flax.traverse_util import unflatten_dict

from symjax.training.images import Normalization
from symjax.training.state import TrainState
from symjax.training.tasks import Batch

Layer = dict[str, jax.Array]  # `mean` and `var` of each feature.


def observe(
  model: nn.Module, params: Any, images: jax.Array, **rngs: jax.Array
) -> tuple[Any, Any]:
  """What a network makes of a batch in training, and BatchNorm's statistics of it.

  A network in training keeps averages over its last steps. These are the mean and the
  variance of this batch alone, over n, not n - 1, as Flax has it.

  Args:
    model: called on images with `train`.
    params: its parameters.
    images: [batch, height, width, channels], normalised.
    **rngs: what the model draws from in training.

  Returns:
    The outputs, and a tree like the network's `batch_stats`.
  """
  observed: dict[tuple[str, ...], jax.Array] = {}

  def note(
    run: Callable[..., Any],
    args: Any,
    kwargs: Any,
    context: nn.module.InterceptorContext,
  ) -> Any:
    module = context.module
    if isinstance(module, nn.BatchNorm) and context.method_name == '__call__':
      x = args[0].astype(np.promote_types(args[0].dtype, np.float32))
      axes = tuple(range(x.ndim - 1))  # All but the features.
      observed[*module.path, 'mean'] = x.mean(axes)
      observed[*module.path, 'var'] = x.var(axes)
    return run(*args, **kwargs)

  with nn.intercept_methods(note):
    outputs, _ = model.apply(
      {'params': params},
      images,
      train=True,
      mutable=['batch_stats', 'intermediates'],
      rngs=rngs,
    )
  return outputs, unflatten_dict(observed)


class Statistics(struct.PyTreeNode):
  """BatchNorm's statistics over a number of batches of one size.

  Attributes:
    batches: how many, int32 [].
    batch_stats: a tree as a network has it, of the pixels of all batches together.
  """

  batches: jax.Array
  batch_stats: Any

  def add(self, batch_stats: Any) -> 'Statistics':
    """With one batch more, by the law of total variance."""

    def join(before: Layer, new: Layer) -> Layer:
      step = new['mean'] - before['mean']
      share = 1 / (self.batches + 1).astype(step.dtype)
      between = share * (1 - share) * step**2
      return {
        'mean': before['mean'] + share * step,
        'var': before['var'] + share * (new['var'] - before['var']) + between,
      }

    joined = jax.tree.map(join, self.batch_stats, batch_stats, is_leaf=_is_layer)
    return Statistics(self.batches + 1, joined)


def _is_layer(node: Any) -> bool:
  return isinstance(node, dict) and 'mean' in node


def no_statistics(state: TrainState) -> Statistics:
  """Statistics of no batch yet, of a network with BatchNorm."""
  # As zeros of what every process has, not new arrays of one.
  return Statistics(
    jnp.zeros_like(state.step), jax.tree.map(jnp.zeros_like, state.batch_stats)
  )


def make_statistics_step(
  model: nn.Module, normalization: Normalization
) -> Callable[[tuple[TrainState, Statistics], Batch], Statistics]:
  """A pure ((state, statistics), batch) -> statistics with the batch.

  Over a split this is "precise BatchNorm" (arXiv:2105.07576), and what SegNet's
  authors do after its training: a layer is measured while those before it normalise by
  the batch, as they do in training. SegNet's variance is the mean over batches; this
  one is that of all their pixels, which is no less.

  Args:
    model: called on normalised images with `train`.
    normalization: of uint8 images.
  """

  def step(carry: tuple[TrainState, Statistics], batch: Batch) -> Statistics:
    state, statistics = carry
    # Neither the key of the initial parameters nor that of the steps.
    key = jax.random.fold_in(jax.random.key(state.seed), 2)
    dropout, phase = jax.random.split(jax.random.fold_in(key, statistics.batches))
    images = normalization(batch['image'])
    _, found = observe(
      model, state.variables['params'], images, dropout=dropout, phase=phase
    )
    return statistics.add(found)

  return step
