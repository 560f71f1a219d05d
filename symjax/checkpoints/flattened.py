"""Which dense layers read a flattened map, so that the order of its axes matters."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Var

from symjax.checkpoints.names import name_leaves, nest_leaves


def trace_flattened(
  model: Any, variables: Mapping[str, Any], input_shape: Sequence[int]
) -> dict[str, tuple[int, int, int]]:
  """The dense kernels that read a flattened map, and that map's shape.

  PyTorch flattens channels first, Flax last; the rows of such a kernel are in another
  order there. Found by an abstract run: a map [1, h, w, c] that becomes [1, h w c],
  perhaps changes its values, and is multiplied by a parameter.

  Args:
    model: a Flax module.
    variables: of the model, or their shapes.
    input_shape: [height, width, channels] of one image.

  Returns:
    Path of the kernel -> (h, w, c).
  """
  images = jax.ShapeDtypeStruct((1, *input_shape), jnp.float32)
  leaves = name_leaves(variables)

  def run(leaves: Mapping[str, Any], images: jax.Array) -> Any:
    return model.apply(nest_leaves(leaves), images, train=False)

  # JAX orders a dict by its keys.
  program = jax.make_jaxpr(run)(leaves, images).jaxpr
  kernels: dict[Var, str] = dict(zip(program.invars, sorted(leaves), strict=False))
  maps: dict[Var, tuple[int, int, int]] = {}
  found: dict[str, tuple[int, int, int]] = {}
  for equation in program.eqns:
    inputs = [v for v in equation.invars if isinstance(v, Var)]
    output = equation.outvars[0]
    shape = _shape(output)
    operation = equation.primitive.name
    if operation == 'reshape' and _flattens(_shape(inputs[0]), shape):
      _, h, w, c = _shape(inputs[0])
      maps[output] = (h, w, c)
    elif operation == 'dot_general' and len(inputs) == 2:
      x, kernel = inputs
      if x in maps and kernel in kernels:
        found[kernels[kernel]] = maps[x]
    else:
      # A change of type or an activation leaves every value in its place.
      for source in inputs:
        if _shape(source) == shape and source in maps:
          maps[output] = maps[source]
        if _shape(source) == shape and source in kernels:
          kernels[output] = kernels[source]
  return found


def _shape(variable: Any) -> tuple[int, ...]:
  return getattr(variable.aval, 'shape', ())


def _flattens(before: tuple[int, ...], after: tuple[int, ...]) -> bool:
  return len(before) == 4 and len(after) == 2 and before[1] * before[2] > 1
