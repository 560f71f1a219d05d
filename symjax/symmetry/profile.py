"""The symmetry profile of a network: every layer's score, and what puts it in place.

Source: Alsallakh et al., "On symmetries in convolutional weights", section 2. The
claim there is about the *mean* kernel of a layer against its single kernels, so a
profile has both, with the score that a random kernel of that size would get.
"""

import dataclasses
import functools
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from symjax.errors import UserError
from symjax.symmetry.band import random_band
from symjax.symmetry.d4 import TRANSFORMS, group_of
from symjax.symmetry.layers import by_size, convolutions, stack_means
from symjax.symmetry.score import (
  distances,
  score,
  skew,
  spatial_first,
)


@dataclasses.dataclass(frozen=True)
class LayerProfile:
  """The symmetry of one layer. An undefined number is None.

  Attributes:
    name: the layer's path in the parameter tree.
    kernel: (h, w) in taps.
    stride: the layer's stride, None where it is not known.
    group: `D4`, `K4` or `Z2`: the symmetries that the kernel size allows.
    score: S of the mean kernel; None where that is zero.
    distances: ||T(K^) - K^|| of the mean kernel for the seven elements of D4; None
      for those that are not in the group.
    random_mean: mean score of random kernels of this size.
    random_std: standard deviation of the score of random kernels of this size.
    z: (score - random_mean) / random_std.
    skew: (dy, dx), centroid of |mean kernel| about the centre, in taps, positive down
      and right.
    individual_mean: mean score of the layer's single kernels, zero ones left out.
    individual_std: standard deviation (of the population) of those scores.
    mean_kernel: [h][w] weights.
  """

  name: str
  kernel: tuple[int, int]
  stride: int | None
  group: str
  score: float | None
  distances: dict[str, float | None]
  random_mean: float
  random_std: float
  z: float | None
  skew: tuple[float, float] | None
  individual_mean: float | None
  individual_std: float | None
  mean_kernel: tuple[tuple[float, ...], ...]


@dataclasses.dataclass(frozen=True)
class SymmetryProfile:
  """The symmetry of every convolution of a network, in order."""

  layers: tuple[LayerProfile, ...]

  @property
  def mean_score(self) -> float | None:
    """Mean score over the layers that have one; None if none has."""
    scores = [layer.score for layer in self.layers if layer.score is not None]
    return math.fsum(scores) / len(scores) if scores else None

  def to_json(self) -> dict[str, Any]:
    """What `profile.json` holds: lists, numbers and None, never NaN."""
    content = {'mean_score': self.mean_score, **dataclasses.asdict(self)}
    return json.loads(json.dumps(content, allow_nan=False))


def _measure_singles(kernels: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
  """[n] means and stds of the scores of the single kernels of n layers."""
  sizes = np.array([math.prod(kernel.shape[2:]) for kernel in kernels])
  flat = [kernel.reshape(*kernel.shape[:2], -1) for kernel in kernels]
  scores = score(jnp.concatenate(flat, axis=2))
  # One window over all layers, rather than a slice for each: the program stays small.
  window = max(sizes)
  scores = jnp.pad(scores, (0, window), constant_values=jnp.nan)

  def of_layer(span: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    start, size = span
    own = jax.lax.dynamic_slice_in_dim(scores, start, window)
    defined = (jnp.arange(window) < size) & ~jnp.isnan(own)
    return own.mean(where=defined), own.std(where=defined)

  return jax.lax.map(of_layer, (np.cumsum(sizes) - sizes, sizes))


def _measure_alike(kernels: Sequence[jax.Array]) -> dict[str, Any]:
  """What a profile says of n layers of one kernel size; every leaf is [..., n]."""
  means = stack_means(kernels)
  individual_mean, individual_std = _measure_singles(kernels)
  return {
    'mean_kernel': means,
    'score': score(means),
    'distances': distances(means),
    'skew': skew(means),
    'individual_mean': individual_mean,
    'individual_std': individual_std,
  }


@functools.partial(jax.jit, static_argnames='layout')
def _measure(kernels: tuple[jax.Array, ...], layout: str) -> list[dict[str, Any]]:
  return by_size(_measure_alike, [spatial_first(kernel, layout) for kernel in kernels])


def _number(value: np.ndarray) -> float | None:
  return None if np.isnan(value) else float(value)


def _layer_profile(
  name: str, measured: dict[str, Any], stride: int | None
) -> LayerProfile:
  mean = measured['mean_kernel']
  h, w = mean.shape
  group = group_of(h, w)
  assert group is not None  # `convolutions` leaves 1x1 layers out.
  band = random_band(h, w)
  value = _number(measured['score'])
  moved = {name: _number(distance) for name, distance in measured['distances'].items()}
  return LayerProfile(
    name=name,
    kernel=(h, w),
    stride=stride,
    group=group.name,
    score=value,
    distances={name: moved.get(name) for name in TRANSFORMS},
    random_mean=band.mean,
    random_std=band.std,
    z=None if value is None else (value - band.mean) / band.std,
    skew=None if value is None else tuple(measured['skew'].tolist()),
    individual_mean=_number(measured['individual_mean']),
    individual_std=_number(measured['individual_std']),
    mean_kernel=tuple(tuple(row) for row in mean.tolist()),
  )


def profile(
  params: Any, layout: str = 'HWIO', strides: Mapping[str, int] | None = None
) -> SymmetryProfile:
  """The symmetry profile of a network's weights.

  One jitted call measures all layers, wherever and however sharded they are; it is
  compiled once for the same shapes. Fold no BatchNorm into the weights before: that
  reweights the channels, and moved the scores of a ResNet-18 by up to 0.11.

  Args:
    params: a Flax parameter tree or a flat {name: array} of numpy or JAX arrays;
      every floating leaf of rank 4 with a spatial size above 1 is a convolution, in
      the order and under the names of `convolutions`.
    layout: the axes of the kernels, as in `mean_kernel`.
    strides: layer name -> stride, where known; names of other layers are ignored.

  Raises:
    UserError: there is no convolution, `layout` does not fit, or a layer has NaN or
      infinite weights.

  Warns:
    UserWarning: a layer's mean kernel is zero, so that it has no score.
  """
  kernels = convolutions(params, layout)
  measured = jax.device_get(_measure(tuple(kernels.values()), layout))
  layers = []
  for name, values in zip(kernels, measured, strict=True):
    if not np.isfinite(values['mean_kernel']).all():
      raise UserError(
        f'layer {name} has NaN or infinite weights; a profile needs finite ones'
      )
    layers.append(_layer_profile(name, values, (strides or {}).get(name)))
  unscored = [layer.name for layer in layers if layer.score is None]
  if unscored:
    warnings.warn(f'zero mean kernel, so no score: {", ".join(unscored)}', stacklevel=2)
  return SymmetryProfile(tuple(layers))
