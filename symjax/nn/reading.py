"""A network of which only the reading of pixels is left: every weight the same.

Whatever a network learns, its layers read maps by windows, and how often a pixel is
read depends on those alone. Here every convolution and pooling takes the plain mean of
what its window reads, normalisation and dropout hand their input on, and biases are 0.
On images that are positive everywhere ReLU is then the identity, and so the network is
linear in them.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from symjax.nn.downsample import Downsample
from symjax.nn.group import SharedConv
from symjax.nn.group_maps import GroupMaxPool
from symjax.nn.layers import Conv, convolve, require_fit
from symjax.nn.linen_windows import linen_border, linen_window
from symjax.nn.local import LocalConv
from symjax.nn.policy import ConvPolicy
from symjax.nn.pooling import MaxPool
from symjax.nn.trace import Layer, record
from symjax.nn.unpooling import IndexedMaxPool, MaxUnpool

_HANDED_ON = (
  nn.BatchNorm,
  nn.LayerNorm,
  nn.GroupNorm,
  nn.InstanceNorm,
  nn.RMSNorm,
  nn.Dropout,
)


def foveation(model: nn.Module, image_shape: Sequence[int], **call: Any) -> np.ndarray:
  """How much each pixel of an image is read, over all outputs of a network.

  The derivative of the sum of all outputs by each pixel, in the network of this file:
  the sum over all paths from the pixel to an output, each with the product of its
  windows' equal weights. Branches that meet are added, each with its own paths. Of one
  convolution this counts the positions whose window reads the pixel, with those that
  read it as part of a border; PartialConv counts a tap by its ratio (Alsallakh et al.,
  "Mind the Pad", ICLR 2021, whose maps of one layer these are).

  A map that is its own mirror image says that the arithmetic treats both sides alike.
  Where balanced pooling or polyphase sampling has a choice, it is that of
  evaluation, and the mean over the components.

  Exact for networks of convolutions, poolings and dense layers of symjax or linen with
  ReLU, of which all windows are modules. Another nonlinearity counts by its slope at
  the map of an image of ones. Poolings that are plain functions count as they are: a
  maximum by the first of equal pixels.

  Args:
    model: any Flax module called on [batch, height, width, channels].
    image_shape: [height, width, channels] of one image.
    **call: further keyword arguments of the model's call, such as `train=False`.

  Returns:
    [height, width] float32, of mean 1.

  Raises:
    UserError: the model cannot run on such images.
  """

  def total(images: jax.Array, variables: Any) -> jax.Array:
    with reading():
      outputs = model.apply(variables, images, **call)
    return sum(leaf.sum() for leaf in jax.tree.leaves(outputs))

  def own_parameters(key: jax.Array, images: jax.Array) -> Any:
    with reading():
      return model.init(key, images, **call)

  images = jnp.ones((1, *image_shape))
  shapes = jax.eval_shape(own_parameters, jax.random.key(0), images)
  read = jax.jit(jax.grad(total))(images, _equal_weights(shapes))
  read = np.asarray(read, np.float64)[0].sum(axis=-1)
  return (read / read.mean()).astype(np.float32)


def read_layers(
  model: nn.Module, image_shape: Sequence[int], **call: Any
) -> tuple[Layer, ...]:
  """The layer table of `symjax.nn.trace`, several times as fast.

  Arguments as there.
  """

  def initialise(key: jax.Array, images: jax.Array) -> Any:
    with reading():
      return model.init(key, images, **call)

  return record(initialise, image_shape)


@contextlib.contextmanager
def reading() -> Iterator[None]:
  """Lets the layers of symjax and linen only read, in whatever model is called.

  It makes no parameters for them, and so takes a fraction of the time to trace.
  """
  with nn.intercept_methods(_read):
    yield


def _read(
  run: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
) -> Any:
  """The output of a layer that only reads, as an interceptor of Flax."""
  layer: Any = context.module
  if isinstance(layer, (MaxPool, GroupMaxPool)) and context.method_name == 'maximum':
    return _mean_of_maximum(layer, *args)
  if context.method_name != '__call__' or not args:
    return run(*args, **kwargs)
  x, phase = args[0], (args[1] if len(args) > 1 else kwargs.get('phase'))
  if isinstance(layer, _HANDED_ON):
    return x
  if isinstance(layer, nn.Dense):
    return _spread(x.mean(axis=-1, keepdims=True), (layer.features,))
  if isinstance(layer, SharedConv):
    return _spread(_mean(layer, x, layer.policy), (layer.order, layer.features))
  if isinstance(layer, (Conv, LocalConv)):
    return _spread(_mean(layer, x, layer.policy, phase), (layer.features,))
  if isinstance(layer, nn.Conv) and x.ndim == 4:
    return _spread(_mean(layer, x, ConvPolicy(linen_border(layer))), (layer.features,))
  if isinstance(layer, Downsample) and layer.adapts:
    return layer.components(x).mean(axis=1)
  if isinstance(layer, IndexedMaxPool):
    mean = _spread(_mean(layer, x, ConvPolicy()), (x.shape[-1],))
    return mean, jnp.zeros(mean.shape, jnp.uint8)
  if isinstance(layer, MaxUnpool):
    return _mean_of_places(x, args[2])
  return run(*args, **kwargs)


def _mean(
  layer: Any, x: jax.Array, policy: ConvPolicy, phase: jax.Array | None = None
) -> jax.Array:
  """[batch, height', width', 1] mean over the windows of a layer, and over channels."""
  size = (x.shape[1], x.shape[2])
  linen = isinstance(layer, nn.Conv)
  window = linen_window(layer, size) if linen else layer.window(size)
  require_fit(layer, window, size)
  plane = x.reshape(*x.shape[:3], -1).mean(axis=-1, keepdims=True)
  kernel = jnp.full((*window.kernel, 1, 1), 1 / math.prod(window.kernel), x.dtype)
  policy = dataclasses.replace(policy, algorithm='xla')
  return convolve(plane, kernel, None, window, policy, phase=phase)


def _mean_of_maximum(
  layer: MaxPool | GroupMaxPool, x: jax.Array, phase: jax.Array | None = None
) -> jax.Array:
  """As `_mean`, for all channels: a maximum reads no border but one that wraps."""
  wraps = isinstance(layer, MaxPool) and layer.wraps
  border = dataclasses.replace(layer.policy, padding='circular' if wraps else 'zero')
  return _spread(_mean(layer, x, border, phase), (x.shape[-1],))


def _mean_of_places(values: jax.Array, size: tuple[int, int]) -> jax.Array:
  """[batch, *size, channels] mean over all places where an unpooling may put values."""
  places = values
  for axis, side in zip((1, 2), size, strict=True):
    places = lax.slice_in_dim(jnp.repeat(places, 2, axis), 0, side, axis=axis)
  return places / 4


def _spread(y: jax.Array, features: tuple[int, ...]) -> jax.Array:
  """The same number, [..., 1], for all features."""
  y = y.reshape(*y.shape[:-1], *(1 for _ in features))
  return jnp.broadcast_to(y, (*y.shape[: -len(features)], *features))


def _equal_weights(shapes: Any) -> Any:
  """Parameters of what is no layer of symjax or linen: means of inputs, no biases."""

  def equal(path: Any, leaf: jax.ShapeDtypeStruct) -> jax.Array:
    inputs = math.prod(leaf.shape[:-1])
    value = 0.0 if path[-1].key == 'bias' else 1 / max(inputs, 1)
    return jnp.full(leaf.shape, value, leaf.dtype)

  return jax.tree_util.tree_map_with_path(equal, shapes)
