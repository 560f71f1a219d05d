"""How to optimise weights whose scale is a symmetry of the loss."""

from symjax.optim import oblique
from symjax.optim.bold_driver import (
  BOLD_DRIVERS,
  BoldDriver,
  BoldDriverState,
  make_bold_driver,
)
from symjax.optim.build import (
  OPTIMIZERS,
  kernels,
  make_optimizer,
  on_sphere,
  sphere_rules,
  start_on_sphere,
)
from symjax.optim.filters import check_on_sphere, largest_departure, normalize_filters
from symjax.optim.riemannian_sgd import riemannian_sgd
from symjax.optim.rules import by_path, label_parameters
from symjax.optim.schedule import SCHEDULES, make_schedule
from symjax.optim.unit_norm import (
  project_to_tangent,
  retract_update,
  scaled_metric,
  tangent_trace,
  unit_norm,
)

__all__ = [
  'BOLD_DRIVERS',
  'OPTIMIZERS',
  'SCHEDULES',
  'BoldDriver',
  'BoldDriverState',
  'by_path',
  'check_on_sphere',
  'kernels',
  'label_parameters',
  'largest_departure',
  'make_bold_driver',
  'make_optimizer',
  'make_schedule',
  'normalize_filters',
  'oblique',
  'on_sphere',
  'project_to_tangent',
  'retract_update',
  'riemannian_sgd',
  'scaled_metric',
  'sphere_rules',
  'start_on_sphere',
  'tangent_trace',
  'unit_norm',
]
