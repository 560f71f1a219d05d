"""Which layers of a network read their maps unevenly, and at which sizes none does."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flax import linen as nn

from symjax.errors import UserError
from symjax.nn.reading import read_layers
from symjax.nn.trace import Layer, total_stride
from symjax.symmetry.stride import treats_ends_alike

# Layer name -> whether it treats both ends alike, (vertical, horizontal).
_Evenness = Mapping[str, tuple[bool, bool]]
_Pair = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class LayerAudit:
  """How one windowed layer reads its map, at one size of the images.

  Attributes:
    layer: its row of the layer table.
    slack: padded pixels that no position reaches, at the (bottom, right).
    border_read: pixels of padding that windows reach, ((top, bottom), (left, right)).
    dropped: (rows, columns) of the map that no window reaches.
    even: whether both ends are treated alike, (vertical, horizontal).
    even_sizes: the nearest (heights, widths) of images at which they are, at most one
      each way; the size itself where they are already.
  """

  layer: Layer
  slack: _Pair
  border_read: tuple[_Pair, _Pair]
  dropped: _Pair
  even: tuple[bool, bool]
  even_sizes: tuple[tuple[int, ...], tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Audit:
  """How a network reads images of one size.

  Attributes:
    size: [height, width] of the images.
    layers: those with strides, and those without that are uneven, in the order they
      run.
    even_sizes: the nearest (heights, widths) of images at which no layer is uneven.
  """

  size: _Pair
  layers: tuple[LayerAudit, ...]
  even_sizes: tuple[tuple[int, ...], tuple[int, ...]]

  @property
  def uneven(self) -> tuple[LayerAudit, ...]:
    """The layers that treat two ends of their maps differently."""
    return tuple(row for row in self.layers if not all(row.even))


def audit(model: nn.Module, image_shape: Sequence[int], **call: Any) -> Audit:
  """Follows the stride arithmetic of a network through all its layers.

  A window that starts at the low end of an axis need not arrive at the high one, and
  then reads the border at one side only ("Mind the Pad", Alsallakh et al., ICLR 2021).
  Grids that are drawn ('balanced') are audited where they begin without a draw;
  polyphase sampling, which chooses among all grids, is uneven where it continues an
  odd side, or where its blur has no middle tap.

  The even sizes are found by tracing the network at all sizes within its total stride,
  which is the period of its arithmetic.

  Args:
    model: any Flax module, as in `symjax.nn.trace`, whose layers are seen.
    image_shape: [height, width, channels] of one image.
    **call: further keyword arguments of the model's call, such as `train=False`.

  Raises:
    UserError: the model cannot run on such images.
  """
  table = read_layers(model, image_shape, **call)
  height, width, channels = image_shape

  @functools.cache
  def evenness(side: int) -> _Evenness | None:
    """Of every layer on square images; None where they are too small."""
    try:
      return _evenness(read_layers(model, (side, side, channels), **call))
    except UserError:
      return None

  down, across = total_stride(table)
  vertical = _even_sizes(evenness, height, down, 0)
  horizontal = _even_sizes(evenness, width, across, 1)
  rows = tuple(
    _audit_layer(layer, (vertical[layer.name], horizontal[layer.name]))
    for layer in table
    if layer.strided or not all(_ends_alike(layer))
  )
  return Audit((height, width), rows, (vertical[''], horizontal['']))


def _audit_layer(
  layer: Layer, even_sizes: tuple[tuple[int, ...], tuple[int, ...]]
) -> LayerAudit:
  window = layer.window
  adaptive = layer.kind == 'aps'
  slack = (0, 0) if adaptive else window.slack(layer.input_shape[:2])
  continued = _continued(layer) if adaptive else (0, 0)
  reads, dropped = [], []
  for (low, high), unread, more in zip(window.widths, slack, continued, strict=True):
    reads.append((low, max(high - unread, 0) + more))
    dropped.append(max(unread - high, 0))
  return LayerAudit(
    layer=layer,
    slack=slack,
    border_read=(reads[0], reads[1]),
    dropped=(dropped[0], dropped[1]),
    even=_ends_alike(layer),
    even_sizes=even_sizes,
  )


def _ends_alike(layer: Layer) -> tuple[bool, bool]:
  if layer.kind == 'aps':
    vertical, horizontal = (
      low == high and not more
      for (low, high), more in zip(layer.window.widths, _continued(layer), strict=True)
    )
    return vertical, horizontal
  window = layer.window
  vertical, horizontal = (
    treats_ends_alike(
      layer.input_shape[i],
      window.kernel[i],
      window.stride[i],
      window.widths[i],
      window.dilation[i],
    )
    for i in range(2)
  )
  return vertical, horizontal


def _continued(layer: Layer) -> _Pair:
  """Rows and columns by which polyphase sampling continues a map circularly."""
  (height, width, _), (down, across) = layer.input_shape, layer.window.stride
  return -height % down, -width % across


def _even_sizes(
  evenness: Callable[[int], _Evenness | None], size: int, reach: int, axis: int
) -> dict[str, tuple[int, ...]]:
  """Layer name -> nearest image sizes at which it is even along an axis; '' is all."""
  here = evenness(size)
  assert here is not None, 'the model was traced at this size'
  found: dict[str, list[int]] = {name: [] for name in ('', *here)}
  for name in _even_along(here, axis):
    found[name] = [size]
  for direction in (-1, 1):
    missing = {name for name, sizes in found.items() if sizes != [size]}
    for distance in range(1, reach + 1):
      n = size + direction * distance
      there = evenness(n) if missing and n > 0 else None
      if there is None:
        break
      for name in missing & _even_along(there, axis):
        found[name].append(n)
        missing.remove(name)
  return {name: tuple(sizes) for name, sizes in found.items()}


def _even_along(evenness: _Evenness, axis: int) -> set[str]:
  even = {name for name, ends in evenness.items() if ends[axis]}
  return even | ({''} if len(even) == len(evenness) else set())


def _evenness(table: Sequence[Layer]) -> _Evenness:
  """Of every layer; one that is called twice is as even as the worse call."""
  evenness: dict[str, tuple[bool, bool]] = {}
  for layer in table:
    before, now = evenness.get(layer.name, (True, True)), _ends_alike(layer)
    evenness[layer.name] = (before[0] and now[0], before[1] and now[1])
  return evenness
