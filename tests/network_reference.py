"""Layers of published networks in float64 numpy, and random weights for them."""

import itertools

import jax
import numpy as np
from flax import linen as nn

from symjax.nn import Conv


def correlate(x, kernel, stride=1, margins=(0, 0), dilation=1):
  """Cross-correlation of [batch, h, w, in] with [rows, columns, in, out], by taps."""
  x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
  x = np.pad(x, ((0, 0), *((m, m) for m in margins), (0, 0)))
  rows, columns = (
    (side - dilation * (taps - 1) - 1) // stride + 1
    for side, taps in zip(x.shape[1:3], kernel.shape[:2], strict=True)
  )
  y = 0
  for i, j in itertools.product(*map(range, kernel.shape[:2])):
    top, left = i * dilation, j * dilation
    seen = x[:, top : top + stride * rows : stride, left : left + stride * columns]
    y = y + seen[:, :rows, ::stride] @ kernel[i, j]
  return y


def batch_norm(x, params, statistics, epsilon):
  """With the running statistics."""
  scale, bias = (np.asarray(params[k], np.float64) for k in ('scale', 'bias'))
  mean, var = (np.asarray(statistics[k], np.float64) for k in ('mean', 'var'))
  return (x - mean) / np.sqrt(var + epsilon) * scale + bias


def relu(x):
  return np.maximum(x, 0)


def pool(x, size, stride, reduce):
  """`reduce` over windows of a map without a border."""
  windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
  return reduce(windows[:, ::stride, ::stride], axis=(-2, -1))


def draw_variables(module, *args, seed=0, **kwargs):
  """Random parameters and running statistics, of the size that training leaves.

  Kernels keep the scale of activations; everything else is what an error in a name or
  an axis would not leave unnoticed.
  """
  rng = np.random.default_rng(seed)

  def draw(path, leaf):
    kind = path[-1].key
    if kind == 'kernel':
      value = rng.normal(0, np.sqrt(2 / np.prod(leaf.shape[:-1])), leaf.shape)
    elif kind in ('scale', 'var'):
      value = rng.uniform(0.5, 1.5, leaf.shape)
    else:
      value = rng.normal(0, 0.3, leaf.shape)
    return value.astype(leaf.dtype)

  key = jax.eval_shape(lambda: jax.random.key(0))
  abstract = jax.eval_shape(lambda k: module.init(k, *args, **kwargs), key)
  return jax.tree_util.tree_map_with_path(draw, abstract)


def count_parameters(model, side, channels=3):
  """Without making one of them."""
  images = jax.ShapeDtypeStruct((1, side, side, channels), np.float32)
  key = jax.eval_shape(lambda: jax.random.key(0))
  params = jax.eval_shape(model.init, key, images)['params']
  return sum(leaf.size for leaf in jax.tree.leaves(params))


def initializers(model, side, channels=3):
  """Name of each layer -> how its kernel and its bias start, and its fan of inputs."""
  found = {}

  def record(run, args, kwargs, context):
    layer = context.module
    if context.method_name == '__call__' and isinstance(layer, (Conv, nn.Dense)):
      inputs = np.prod(getattr(layer, 'kernel_size', ())) * args[0].shape[-1]
      found['/'.join(layer.path)] = (layer.kernel_init, layer.bias_init, inputs)
    return run(*args, **kwargs)

  with nn.intercept_methods(record):
    count_parameters(model, side, channels)
  return found


def layer_names(variables):
  """The layers of a parameter tree as PyTorch's names with underscores for dots."""
  paths = jax.tree_util.tree_leaves_with_path(variables['params'])
  return {'_'.join(key.key for key in path[:-1]) for path, _ in paths}
