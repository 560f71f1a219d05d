"""The layer table of a Flax model, from an abstract run: nothing is computed."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from symjax.errors import UserError
from symjax.nn.average_pool import AveragePool
from symjax.nn.downsample import Downsample
from symjax.nn.group import SharedConv
from symjax.nn.group_maps import GroupMaxPool
from symjax.nn.layers import Conv
from symjax.nn.linen_windows import linen_window
from symjax.nn.local import LocalConv
from symjax.nn.pooling import MaxPool
from symjax.nn.unpooling import IndexedMaxPool
from symjax.nn.window import Window

# On maps with an axis of orientations, whose planes are listed as channels.
_ON_GROUPS = (SharedConv, GroupMaxPool)
_POOLINGS = (MaxPool, IndexedMaxPool, GroupMaxPool)
_OURS = (Conv, LocalConv, AveragePool, Downsample, *_POOLINGS, *_ON_GROUPS)


@dataclasses.dataclass(frozen=True)
class Layer:
  """One windowed layer as it runs at one input size.

  Attributes:
    name: path of the module, joined by '/'.
    kind: 'conv', 'max_pool', 'average_pool', and what follows dense ones: 'blur_pool'
      or 'aps'.
    window: kernel, stride, padding and dilation on this map.
    groups: channel groups.
    input_shape: [height, width, channels].
    output_shape: [height, width, channels].
  """

  name: str
  kind: str
  window: Window
  groups: int
  input_shape: tuple[int, int, int]
  output_shape: tuple[int, int, int]

  @property
  def strided(self) -> bool:
    """Whether the layer skips positions."""
    return max(self.window.stride) > 1


def trace(
  model: nn.Module, image_shape: Sequence[int], **call: Any
) -> tuple[Layer, ...]:
  """The convolutions and pooling layers of a model, in the order they run.

  symjax's own layers and 2-D `flax.linen.Conv` are listed; linen's poolings are plain
  functions, which leave no trace but the smaller map of the next layer. What makes
  maps larger has no window on its input and is left out: unpoolings, and linen's
  transposed convolutions.

  Args:
    model: any Flax module called on [batch, height, width, channels].
    image_shape: [height, width, channels] of one image.
    **call: further keyword arguments of the model's call, such as `train=False`.

  Returns:
    One `Layer` per call.

  Raises:
    UserError: the model cannot run on such images.
  """
  return record(functools.partial(model.init, **call), image_shape)


def record(
  initialise: Callable[[jax.Array, jax.Array], Any], image_shape: Sequence[int]
) -> tuple[Layer, ...]:
  """The layers that a function calls, in the order they run.

  Args:
    initialise: of a key and images [1, height, width, channels], such as `model.init`.
    image_shape: [height, width, channels] of one image.
  """
  rows: list[Layer] = []

  def note(
    run: Callable[..., Any],
    args: Any,
    kwargs: Any,
    context: nn.module.InterceptorContext,
  ) -> Any:
    before = len(rows)
    y = run(*args, **kwargs)
    module = context.module
    x: Any = args[0] if args else next(iter(kwargs.values()), None)
    if (
      context.method_name == '__call__'
      and isinstance(module, (*_OURS, nn.Conv))
      and (x.ndim == 4 or isinstance(module, _ON_GROUPS))
      and not (isinstance(module, Downsample) and not module.acts)
    ):
      output = y[0] if isinstance(module, IndexedMaxPool) else y
      # Before those within it.
      rows.insert(before, _layer(module, x.shape, output.shape))
    return y

  def watched(key: jax.Array, images: jax.Array) -> Any:
    with nn.intercept_methods(note):
      return initialise(key, images)

  images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
  jax.eval_shape(watched, jax.eval_shape(lambda: jax.random.key(0)), images)
  return tuple(rows)


def downsampling_marks(table: Sequence[Layer]) -> dict[str, str]:
  """Convolutions at and near a loss of resolution (document A, Fig. 9).

  Returns:
    Layer name -> 'at' where the convolution itself is strided, 'near' where its map
    is smaller than the previous convolution's output, as behind a pooling.
  """
  marks = {}
  previous: Layer | None = None
  for layer in table:
    if layer.kind != 'conv':
      continue
    if layer.strided:
      marks[layer.name] = 'at'
    elif previous and layer.input_shape[0] < previous.output_shape[0]:
      marks[layer.name] = 'near'
    previous = layer
  return marks


def total_stride(table: Sequence[Layer]) -> tuple[int, int]:
  """(vertical, horizontal) pixels of the image to one of the last map.

  Layers between maps of the same two sizes are taken for branches side by side, as
  those of a residual block, and count once.
  """
  steps = {
    (layer.input_shape[:2], layer.output_shape[:2]): layer.window.stride
    for layer in table
  }
  down, right = (math.prod(s[axis] for s in steps.values()) for axis in (0, 1))
  return down, right


def smallest_image(
  model: nn.Module, channels: int, limit: int = 1024, **call: Any
) -> int | None:
  """Side of the smallest square image that the model takes, in pixels.

  Returns:
    The side, or None if images of `limit` pixels are still too small.
  """

  def fits(side: int) -> bool:
    try:
      trace(model, (side, side, channels), **call)
    except UserError:
      return False
    return True

  if not fits(limit):
    return None
  low, high = 0, limit  # `low` never fits, `high` always does.
  while high - low > 1:
    middle = (low + high) // 2
    low, high = (low, middle) if fits(middle) else (middle, high)
  return high


def _layer(module: nn.Module, before: Sequence[int], after: Sequence[int]) -> Layer:
  """The row of one call, on a map of shape `before`, that returned one of `after`."""
  window = _window(module, (before[1], before[2]))
  output_shape = _planar(after)
  if isinstance(module, _POOLINGS):
    # Of the maximum alone, where a `Downsample` within the layer follows.
    height, width = window.output_size((before[1], before[2]))
    output_shape = (height, width, output_shape[2])
  return Layer(
    name='/'.join(module.path),
    kind=_kind(module),
    window=window,
    groups=_groups(module),
    input_shape=_planar(before),
    output_shape=output_shape,
  )


def _kind(module: nn.Module) -> str:
  if isinstance(module, _POOLINGS):
    return 'max_pool'
  if isinstance(module, AveragePool):
    return 'average_pool'
  if isinstance(module, Downsample):
    return 'aps' if module.policy.downsampling == 'aps' else 'blur_pool'
  return 'local_conv' if isinstance(module, LocalConv) else 'conv'


def _planar(shape: Sequence[int]) -> tuple[int, int, int]:
  """[height, width, channels] of a map [batch, height, width, ..., channels]."""
  return shape[1], shape[2], math.prod(shape[3:])


def _window(module: Any, size: tuple[int, int]) -> Window:
  if isinstance(module, _OURS):
    return module.window(size)
  return linen_window(module, size)


def _groups(module: nn.Module) -> int:
  if isinstance(module, Conv):
    return module.groups
  return getattr(module, 'feature_group_count', 1)
