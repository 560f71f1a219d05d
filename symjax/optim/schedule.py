"""Learning rates over training, in steps."""

import math
from collections.abc import Sequence

import optax

from symjax.errors import UserError

SCHEDULES = ('constant', 'cosine', 'poly', 'step')
POLY_POWER = 0.9  # DeepLab's (arXiv:1606.00915), and of torchvision's segmentations.


def make_schedule(
  peak: float,
  steps: int,
  steps_per_epoch: float,
  name: str = 'cosine',
  warmup_epochs: float = 0.0,
  decay_epochs: Sequence[float] = (),
  decay_factor: float = 0.1,
) -> optax.Schedule:
  """The learning rate as a function of the step.

  Args:
    peak: the rate after warm-up.
    steps: of the whole training.
    steps_per_epoch: converts the epochs below; it need not be whole.
    name: 'constant'; 'cosine', which falls to 0 at `steps` (arXiv:1608.03983, one
      cycle); 'poly', which falls there as the share of steps left to the power
      `POLY_POWER`; or 'step', which multiplies by `decay_factor` at each of
      `decay_epochs`.
    warmup_epochs: of linear growth from peak / warm-up steps to `peak`.
    decay_epochs: counted from the start of training, warm-up included.
    decay_factor: of 'step'.

  Raises:
    UserError: an unknown name, or a warm-up longer than the training.
  """
  if name not in SCHEDULES:
    raise UserError(f'unknown schedule {name!r}; choose from {", ".join(SCHEDULES)}')
  if not 0 <= warmup_epochs < math.inf:
    raise UserError(f'schedule.warmup_epochs={warmup_epochs}; it is 0 or more')
  warmup = round(warmup_epochs * steps_per_epoch)
  if warmup >= steps:
    raise UserError(
      f'schedule.warmup_epochs={warmup_epochs} is {warmup} steps of {steps}; '
      'warm up for less, or train for longer'
    )
  if name == 'cosine':
    after: optax.Schedule = optax.cosine_decay_schedule(peak, steps - warmup)
  elif name == 'poly':
    after = optax.polynomial_schedule(peak, 0.0, POLY_POWER, steps - warmup)
  elif name == 'step':
    boundaries = [round(epoch * steps_per_epoch) - warmup for epoch in decay_epochs]
    if any(boundary <= 0 for boundary in boundaries):
      raise UserError('schedule.decay_epochs begin before the warm-up ends')
    after = optax.piecewise_constant_schedule(
      peak, dict.fromkeys(boundaries, decay_factor)
    )
  else:
    after = optax.constant_schedule(peak)
  if not warmup:
    return after
  ramp = optax.linear_schedule(peak / warmup, peak, max(warmup - 1, 1))
  return optax.join_schedules([ramp, after], [warmup])
