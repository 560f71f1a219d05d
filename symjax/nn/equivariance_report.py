"""Where in a network equivariance breaks: its error behind every layer."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from flax import linen as nn

from symjax.errors import UserError
from symjax.nn.downsample import Downsample
from symjax.symmetry.equivariance import relative_norm
from symjax.symmetry.transformations import Transformation, identity


@dataclasses.dataclass(frozen=True)
class LayerEquivariance:
  """How far the network up to one layer is from equivariant.

  Attributes:
    name: path of the module, joined by '/'; the network itself has its class's name.
    output_shape: of one image, [height, width, channels] or [channels].
    error: relative error of its output, as `symjax.symmetry.equivariance_error`
      defines it; infinite where the transformation has no counterpart on the map.
    breaks: whether it is the first whose error is above the tolerance.
  """

  name: str
  output_shape: tuple[int, ...]
  error: float
  breaks: bool


@dataclasses.dataclass(frozen=True)
class Symmetry:
  """What images and maps are put to, and what is then compared.

  Attributes:
    transformation: acts on the images and on all maps [batch, height, width, ...], such
      as `transformations.dihedral('r')`, or `transformations.circular_translation((8,
      8), image_size=(32, 32))`: a shift by the network's total stride, which moves
      smaller maps in proportion. Maps with a group axis ask for one that moves it too.
    region: what is compared of two maps, as in `symjax.symmetry.equivariance_error`;
      vectors are compared whole.
  """

  transformation: Transformation
  region: Transformation = identity


def equivariance_report(
  model: nn.Module,
  variables: Any,
  x: jax.Array,
  transformation: Transformation,
  region: Transformation = identity,
  tolerance: float = 1e-4,
  **call: Any,
) -> tuple[LayerEquivariance, ...]:
  """The equivariance error of every submodule's output, in the order they finish.

  `equivariance_reports` of one symmetry.

  Args:
    model: any Flax module called on images.
    variables: its variables, as `model.init` gives them.
    x: [batch, height, width, channels] images.
    transformation: of images and maps, as in `Symmetry`.
    region: what is compared of two maps, as in `Symmetry`.
    tolerance: of the relative error.
    **call: further keyword arguments of the model's call, such as `train=False`.

  Returns:
    One row per call of a submodule, and last the model itself.
  """
  symmetries = {'': Symmetry(transformation, region)}
  return equivariance_reports(model, variables, x, symmetries, tolerance, **call)['']


def equivariance_reports(
  model: nn.Module,
  variables: Any,
  x: jax.Array,
  symmetries: Mapping[str, Symmetry],
  tolerance: float = 1e-4,
  **call: Any,
) -> dict[str, tuple[LayerEquivariance, ...]]:
  """The equivariance errors of every submodule's output under several symmetries.

  The network is compiled once for all that keep the shape of the images.

  Maps are compared with the transformed map of the plain image, vectors with the
  vector of the plain image (invariance); outputs [batch, tokens, channels] and what is
  not one array are left out. A module is listed behind the ones that it calls, so the
  layer that breaks is the innermost. Functions such as `flax.linen.max_pool` leave no
  row, and show in the next.

  Args:
    model: any Flax module called on images.
    variables: its variables, as `model.init` gives them.
    x: [batch, height, width, channels] images; generic ones, for symmetric images hide
      what breaks.
    symmetries: by name.
    tolerance: of the relative error. The default leaves room for float32 on CPU; other
      devices need `jax.default_matmul_precision('highest')`.
    **call: further keyword arguments of the model's call, such as `train=False`.

  Returns:
    For each symmetry one row per call of a submodule, in the order they finish, and
    last the model itself.
  """
  names: list[str] = []

  @jax.jit
  def run(variables: Any, x: jax.Array) -> list[jax.Array]:
    names.clear()  # Images of another shape trace once more.
    outputs = _outputs(model, variables, x, call)
    names.extend(name for name, _ in outputs)
    return [output for _, output in outputs]

  plain = run(variables, x)
  reports = {}
  for key, symmetry in symmetries.items():
    moved = run(variables, symmetry.transformation(x))
    reports[key] = _rows(names, plain, moved, symmetry, tolerance)
  return reports


def _rows(
  names: Sequence[str],
  plain: Sequence[jax.Array],
  moved: Sequence[jax.Array],
  symmetry: Symmetry,
  tolerance: float,
) -> tuple[LayerEquivariance, ...]:
  rows = []
  intact = True
  for name, expected, actual in zip(names, plain, moved, strict=True):
    if expected.ndim == 3:
      continue
    error = _error(actual, expected, symmetry)
    breaks = intact and not error <= tolerance  # NaN breaks too.
    intact = intact and not breaks
    rows.append(LayerEquivariance(name, expected.shape[1:], error, breaks))
  return tuple(rows)


def _error(actual: jax.Array, expected: jax.Array, symmetry: Symmetry) -> float:
  if expected.ndim >= 4:
    try:
      expected = symmetry.region(symmetry.transformation(expected))
      actual = symmetry.region(actual)
    except UserError:  # Such as a shift by half a pixel of a strided map.
      return math.inf
  if actual.shape != expected.shape:
    return math.inf
  return float(relative_norm(actual - expected, expected))


def _outputs(
  model: nn.Module, variables: Any, x: jax.Array, call: dict[str, Any]
) -> list[tuple[str, jax.Array]]:
  """(name, output) of every submodule's call that returns an array, as they finish."""
  outputs: list[tuple[str, jax.Array]] = []

  def record(
    layer: Callable[..., Any],
    args: Any,
    kwargs: Any,
    context: nn.module.InterceptorContext,
  ) -> Any:
    y = layer(*args, **kwargs)
    idle = isinstance(context.module, Downsample) and not context.module.acts
    if context.method_name == '__call__' and isinstance(y, jax.Array) and not idle:
      name = '/'.join(context.module.path) or type(context.module).__name__
      outputs.append((name, y))
    return y

  with nn.intercept_methods(record):
    model.apply(variables, x, **call)
  return outputs
