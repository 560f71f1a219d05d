"""A batch taken in parts, one after another: less memory, and one update all the same.

The parts' gradients are added up by each device for itself, and over the devices once,
at the end. A compiler that splits the batch of a loop among devices would add them up
over the devices in every turn of it; so here each device runs the loop on what it
holds, and what has to be known of the whole microbatch, BatchNorm's statistics, is
asked for by name.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.sharding import PartitionSpec

AXIS = 'data'  # Of `devices.make_mesh`.
REDUCTION = 'reduce_gradients'  # Scope of the sum over devices, in a compiled program.

# (parameters, batch statistics, labels in the batch, keys, part of the batch) ->
# (gradients, statistics, metrics): the part's share of those of the whole batch.
Gradient = Callable[[Any, Any, jax.Array, jax.Array, Any], tuple[Any, Any, Any]]


def in_microbatches(gradient: Gradient, count: int) -> Gradient:
  """The same of a whole batch, as the sum over `count` parts of it.

  Part j holds the examples j, j + count, j + 2 count, ... of the global batch. Of a
  batch that is split in contiguous blocks it so lies on all devices in equal shares,
  and it is the same whatever their number. BatchNorm normalises by the statistics of
  the part on all devices; its running averages, which the next part is given, fold in
  every part's.

  It has to be traced under the mesh that the batch is split over, as by `devices.jit`;
  without one it runs on one device. There is no law for what a network draws, which is
  other numbers than for the whole batch: every part has a key of its own, and each
  device draws dropout's masks for what it holds of it.

  Args:
    gradient: of a part; it may draw on a device's own number, as `own_key` does.
    count: of parts; their number times that of the devices divides the batch.
  """
  if count == 1:
    return gradient

  def accumulate(
    params: Any, batch_stats: Any, labels: jax.Array, keys: jax.Array, batch: Any
  ) -> tuple[Any, Any, Any]:
    def add(carry: tuple[Any, Any], part: tuple[jax.Array, Any]) -> Any:
      total, batch_stats = carry
      place, examples = part
      own = jax.vmap(jax.random.fold_in, (0, None))(keys, place)
      gradients, batch_stats, metrics = gradient(
        params, batch_stats, labels, own, examples
      )
      return (jax.tree.map(jnp.add, total, gradients), batch_stats), metrics

    parts = jax.tree.map(lambda leaf: _strided(leaf, count), batch)
    start = (jax.tree.map(jnp.zeros_like, params), batch_stats)
    (total, batch_stats), metrics = lax.scan(add, start, (jnp.arange(count), parts))
    return total, batch_stats, jax.tree.map(lambda values: values.sum(0), metrics)

  def over_devices(
    params: Any, batch_stats: Any, labels: jax.Array, keys: jax.Array, batch: Any
  ) -> tuple[Any, Any, Any]:
    with nn.intercept_methods(_join_statistics):
      total, batch_stats, metrics = accumulate(params, batch_stats, labels, keys, batch)
    with jax.named_scope(REDUCTION):
      total, metrics = lax.psum((total, metrics), AXIS)
    return total, batch_stats, metrics

  def run(
    params: Any, batch_stats: Any, labels: jax.Array, keys: jax.Array, batch: Any
  ) -> tuple[Any, Any, Any]:
    if not _devices_apart():
      return accumulate(params, batch_stats, labels, keys, batch)
    whole, split = PartitionSpec(), PartitionSpec(AXIS)
    mapped = jax.shard_map(
      over_devices,
      in_specs=(whole, whole, whole, whole, split),
      out_specs=whole,
      # Every device differentiates the sum of all devices' losses by its own copy of
      # the parameters. Where JAX follows what varies, it would add up their gradients
      # as soon as they are known: in every turn.
      check_vma=False,
    )
    return mapped(params, batch_stats, labels, keys, batch)

  return run


def own_key(key: jax.Array) -> jax.Array:
  """Another key on every device that runs by itself; elsewhere `key`."""
  if AXIS in jax.sharding.get_abstract_mesh().manual_axes:
    return jax.random.fold_in(key, lax.axis_index(AXIS))
  return key


def _devices_apart() -> bool:
  """Whether a mesh is set over whose devices the batch is split."""
  return AXIS in jax.sharding.get_abstract_mesh().axis_names


def _strided(leaf: jax.Array, count: int) -> jax.Array:
  """[batch, ...] as [count, batch / count, ...], whose part j is `leaf[j::count]`."""
  return jnp.swapaxes(leaf.reshape(-1, count, *leaf.shape[1:]), 0, 1)


def _join_statistics(
  run: Callable[..., Any],
  args: Any,
  kwargs: Any,
  context: nn.module.InterceptorContext,
) -> Any:
  """Has BatchNorm take its statistics over all devices, whichever model it is in."""
  module = context.module
  if (
    isinstance(module, nn.BatchNorm)
    and context.method_name == '__call__'
    and module.axis_name is None
  ):
    joined = module.clone(parent=module.scope, axis_name=AXIS)
    return joined(*args, **kwargs)
  return run(*args, **kwargs)
