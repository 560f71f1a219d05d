"""Numbers about a state, for the training loop: symmetry, and filters on the sphere."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

import jax

from symjax import symmetry
from symjax.optim import check_on_sphere, largest_departure, on_sphere
from symjax.training.state import TrainState


def symmetry_of(state: TrainState) -> dict[str, Any]:
  """The scores of a state's mean kernels."""
  measured = symmetry.mean_scores(state.variables['params'])
  # As a list, because JAX would sort a dict by name, and layers have an order.
  values = [float(score) for score in jax.device_get(list(measured.values()))]
  scores = {
    name: None if math.isnan(score) else score
    for name, score in zip(measured, values, strict=True)
  }
  defined = [score for score in scores.values() if score is not None]
  return {
    'mean_symmetry': statistics.fmean(defined) if defined else None,
    'symmetry': scores,
  }


class SphereDeparture:
  """How far filters are from the unit sphere that their optimiser keeps them on.

  They are those that are trained: averages of them lie inside of the sphere.
  """

  def __init__(self, sphere_kernels: Sequence[str]) -> None:
    """`sphere_kernels` are patterns of the paths of their kernels."""
    self._sphere_kernels = sphere_kernels

  def __call__(self, state: TrainState) -> dict[str, float]:
    """`sphere_departure`, the largest | |w| - 1 | of a filter.

    Raises:
      UserError: a filter that left the sphere, by name.
    """
    mask = on_sphere(state.params, self._sphere_kernels)
    check_on_sphere(
      jax.device_get(state.params),
      mask=mask,
      remedy=f'it left the sphere before step {int(state.step) + 1}, and nothing is '
      'saved of that; lower optimizer.learning_rate, or report it',
    )
    departure = largest_departure(state.params, mask=mask)
    return {'sphere_departure': float(departure)}
