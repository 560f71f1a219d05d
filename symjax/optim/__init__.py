"""How to optimise weights whose scale is a symmetry of the loss."""

from symjax.optim.build import OPTIMIZERS, make_optimizer
from symjax.optim.schedule import SCHEDULES, make_schedule

__all__ = ['OPTIMIZERS', 'SCHEDULES', 'make_optimizer', 'make_schedule']
