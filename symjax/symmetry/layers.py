"""The convolutions of a parameter tree: their names, and the scores of their means."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from symjax.errors import UserError
from symjax.symmetry.score import (
  is_zero,
  mean_kernel,
  score,
  spatial_axes,
  spatial_first,
)


@functools.cache
def _natural(name: str) -> tuple[str | int, ...]:
  """Sort key that puts `features_2` before `features_10`."""
  parts = re.split(r'(\d+)', name)
  return tuple(int(part) if part.isdigit() else part for part in parts)


def _read_in_order(leaves: Mapping[tuple[Any, ...], Any]) -> dict[str, Any]:
  """Leaves under the names of their paths, in the natural order of these."""
  named = [
    ([jax.tree_util.keystr((key,), simple=True) for key in path], leaf)
    for path, leaf in leaves.items()
  ]
  named.sort(key=lambda item: [_natural(part) for part in item[0]])
  return {'/'.join(parts): leaf for parts, leaf in named}


def convolutions(params: Any, layout: str = 'HWIO') -> dict[str, Any]:
  """The kernels of the convolutions in `params`, by layer name.

  A convolution is a floating leaf of rank 4 with a spatial size above 1. Its name is
  its path, joined by '/', without a last `kernel` or `weight`.

  Args:
    params: a parameter tree, read in the natural order of its paths (numbers as
      numbers), or a flat {name: array}, read in its own order.
    layout: the axes of the kernels, as in `mean_kernel`.

  Raises:
    UserError: there is no convolution, or `layout` does not fit one.
  """
  height, width = spatial_axes(layout, 4)

  def is_convolution(leaf: Any) -> bool:
    return (
      getattr(leaf, 'ndim', None) == 4
      and jnp.issubdtype(leaf.dtype, jnp.floating)
      and (leaf.shape[height], leaf.shape[width]) != (1, 1)
    )

  leaves = dict(jax.tree_util.tree_leaves_with_path(params))
  found = {path: leaf for path, leaf in leaves.items() if is_convolution(leaf)}
  if not found:
    raise UserError(
      f'no convolution to measure: expected a floating array of rank 4, laid out '
      f'{layout}, with H or W above 1'
    )
  if isinstance(params, Mapping) and all(len(path) == 1 for path in leaves):
    # JAX sorts the keys of a flat dict; a checkpoint knows its order better.
    paths = {name: params[name] for name in params if is_convolution(params[name])}
  else:
    paths = _read_in_order(found)
  names = [re.sub(r'[/.](kernel|weight)$', '', path) for path in paths]
  if len(set(names)) < len(names):  # `a/kernel` beside `a/weight`.
    return paths
  return dict(zip(names, paths.values(), strict=True))


def by_size(measure: Callable, kernels: Sequence[jax.Array]) -> list[Any]:
  """What `measure` says of each kernel, asked once for each kernel size.

  The compiled program so grows with the number of sizes, not with that of layers.

  Args:
    measure: maps a list of n kernels of one size to a tree of [..., n] arrays.
    kernels: [h, w, ...] arrays.
  """
  alike: dict[Any, list[int]] = {}
  for index, kernel in enumerate(kernels):
    alike.setdefault((kernel.shape[:2], kernel.dtype), []).append(index)
  measured: list[Any] = [None] * len(kernels)
  for members in alike.values():
    together = measure([kernels[index] for index in members])
    for position, index in enumerate(members):
      measured[index] = jax.tree.map(lambda leaf, n=position: leaf[..., n], together)
  return measured


def stack_means(kernels: Sequence[jax.Array]) -> jax.Array:
  """[h, w, n] mean kernels of n layers of one kernel size, each [h, w, in, out]."""
  return jnp.stack([mean_kernel(kernel) for kernel in kernels], axis=-1)


def _score_alike(kernels: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
  """[n] scores of the mean kernels of n layers, and which of these are zero."""
  means = stack_means(kernels)
  return score(means), is_zero(means)


@functools.partial(jax.jit, static_argnames='layout')
def _score_means(
  kernels: tuple[jax.Array, ...], layout: str
) -> tuple[list[jax.Array], jax.Array]:
  """The [] score of each layer's mean kernel, and [layers] which of these are zero."""
  kernels = tuple(spatial_first(kernel, layout) for kernel in kernels)
  measured = by_size(_score_alike, kernels)
  return [value for value, _ in measured], jnp.stack([zero for _, zero in measured])


def mean_scores(params: Any, layout: str = 'HWIO') -> dict[str, jax.Array]:
  """S of each layer's mean kernel: the fast part of `profile`, for every step.

  One jitted pass over the weights, about as fast as summing them; compiled once for
  the same shapes, and fit to be called under jit and grad.

  Args:
    params: a parameter tree or a flat {name: array}, as in `convolutions`.
    layout: the axes of the kernels, as in `mean_kernel`.

  Returns:
    layer name -> [] score, NaN for a zero mean kernel.

  Raises:
    UserError: there is no convolution, or `layout` does not fit one.
  """
  kernels = convolutions(params, layout)
  scores, _ = _score_means(tuple(kernels.values()), layout)
  return dict(zip(kernels, scores, strict=True))


def mean_symmetry(params: Any, layout: str = 'HWIO') -> jax.Array:
  """[] mean over the layers of the score of their mean kernels, as a regulariser.

  Differentiable, with finite gradients for all finite weights: 1x1 layers and layers
  with a zero mean kernel are left out and get the gradient 0. NaN if no layer is
  left, or a weight is not finite. Add `-strength * mean_symmetry(params)` to a loss
  to encourage symmetry.

  Args:
    params: a parameter tree or a flat {name: array}, as in `convolutions`.
    layout: the axes of the kernels, as in `mean_kernel`.

  Raises:
    UserError: there is no convolution, or `layout` does not fit one.
  """
  kernels = tuple(convolutions(params, layout).values())
  of_layers, zero = _score_means(kernels, layout)
  scores = jnp.stack(of_layers)
  number = (~zero).sum(dtype=scores.dtype)
  total = jnp.where(zero, 0, scores).sum()
  return jnp.where(number > 0, total / jnp.maximum(number, 1), jnp.nan)
