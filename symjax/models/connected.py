"""One network with three degrees of sharing: convolutional, local, fully connected."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.typing import Dtype

from symjax.errors import UserError
from symjax.nn import Conv, ConvPolicy, Downsample, LocalConv, sampling_phase

CONNECTIONS = ('convolutional', 'local', 'full')
HEADS = ('average', 'flatten')
_STRIDE = (2, 2)


class Connected(nn.Module):
  """Layers with ReLU, each of half the map's side, whose weights are shared or not.

  The design space of the chapter "Symmetry" (14.2, 14.8): the maps stay the same, and
  so does what can be computed, from less to more. From a map of H x W with i channels
  to one of H' x W' with o, a layer has

  - 'convolutional': 9 i o + o parameters, a 3x3 kernel for all positions;
  - 'local': H' W' (9 i o + o), a 3x3 kernel for each position;
  - 'full': H W i H' W' o + H' W' o, from every pixel to every position.

  Attributes:
    num_classes: logits.
    connection: 'convolutional', 'local' or 'full'.
    features: channels of every layer.
    head: one dense layer behind the 'average' over positions, or on the map as it is
      ('flatten'), which sees positions.
    coordinates: whether the image gets two more channels, of the row and the column of
      each pixel, as `append_coordinates` makes them.
    policy: of the convolutional and local layers; local ones are always strided. A
      full one has no border, so it only takes the default.
    dtype: of the computation. Parameters are float32, or float64 if that is asked.

  Raises:
    UserError: an unknown connection or head, no layer or channel, a border for the
      full network, or another downsampling than 'stride' for the local one.
  """

  num_classes: int
  connection: str = 'convolutional'
  features: tuple[int, ...] = (8, 16)
  head: str = 'average'
  coordinates: bool = False
  policy: ConvPolicy = ConvPolicy()
  dtype: Dtype = jnp.float32

  def __post_init__(self) -> None:
    super().__post_init__()
    for field, value, choices in (
      ('connection', self.connection, CONNECTIONS),
      ('head', self.head, HEADS),
    ):
      if value not in choices:
        raise UserError(f'unknown {field} {value!r}; choose from {", ".join(choices)}')
    if not self.features or min(self.features) < 1:
      raise UserError(
        f'features={tuple(self.features)}; give the channels of one layer or more, '
        'each 1 or more'
      )
    if self.connection == 'full' and self.policy != ConvPolicy():
      raise UserError(
        'a fully connected network has no border: leave padding and widths at their '
        'defaults'
      )
    if self.connection == 'local' and self.policy.downsampling != 'stride':
      raise UserError(
        'locally connected layers have a kernel for each position of downsampling '
        f"'stride'; {self.policy.downsampling!r} is for the convolutional network"
      )

  @property
  def normalized_kernels(self) -> tuple[str, ...]:
    """None: there is no normalisation."""
    return ()

  @nn.compact
  def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
    """Logits [batch, num_classes] of images [batch, height, width, channels].

    In training, balanced layers draw from the rng `phase`.
    """
    params = np.promote_types(self.dtype, np.float32)
    x = images.astype(self.dtype)
    if self.coordinates:
      x = append_coordinates(x)
    # Named so that the first layer is the first in a tree sorted by name.
    for index, features in enumerate(self.features):
      phase = sampling_phase(self, self.policy, index, train)
      x = nn.relu(self._layer(x, features, f'connected_{index}', phase))
      x = Downsample(_STRIDE, self.policy, name=f'downsample_{index}')(x, phase)
    x = x.mean(axis=(1, 2)) if self.head == 'average' else x.reshape(len(x), -1)
    return nn.Dense(
      self.num_classes, dtype=self.dtype, param_dtype=params, name='head'
    )(x)

  def _layer(
    self, x: jax.Array, features: int, name: str, phase: jax.Array | None
  ) -> jax.Array:
    """[batch, height', width', features] of a map [batch, height, width, channels]."""
    types: dict[str, Any] = {
      'dtype': self.dtype,
      'param_dtype': np.promote_types(self.dtype, np.float32),
    }
    if self.connection == 'local':
      return LocalConv(
        features, strides=_STRIDE, policy=self.policy, name=name, **types
      )(x)
    types['kernel_init'] = nn.initializers.he_normal()
    if self.connection == 'convolutional':
      strides = self.policy.convolution_strides(_STRIDE)
      layer = Conv(features, strides=strides, policy=self.policy, name=name, **types)
      return layer(x, phase)
    size = (x.shape[1], x.shape[2])
    window = Conv(features, strides=_STRIDE, parent=None).window(size)
    shape = (*window.output_size(size), features)
    y = nn.Dense(math.prod(shape), name=name, **types)(x.reshape(len(x), -1))
    return y.reshape(-1, *shape)


def append_coordinates(x: jax.Array) -> jax.Array:
  """The map with the place of each pixel as two further channels.

  CoordConv (Liu et al., arXiv:1807.03247, section 3): the row, then the column, each
  from -1 on the first to 1 on the last.

  Args:
    x: [batch, height, width, channels].

  Returns:
    [batch, height, width, channels + 2].
  """
  batch, height, width, _ = x.shape
  rows, columns = np.meshgrid(
    np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing='ij'
  )
  places = jnp.asarray(np.stack([rows, columns], axis=-1), x.dtype)
  return jnp.concatenate(
    [x, jnp.broadcast_to(places, (batch, height, width, 2))], axis=-1
  )
