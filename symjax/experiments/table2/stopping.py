"""When a run of Table 2 ends."""

from collections.abc import Sequence

from symjax.experiments.table2.protocol import Protocol

_LOOK_BACK = 5  # Epochs.
_TOLERANCE = 1e-5  # Of errors.


def reason_to_stop(
  protocol: Protocol,
  costs: Sequence[float | None],
  train_errors: Sequence[float | None],
  validation_errors: Sequence[float | None],
) -> str | None:
  """Why a run ends after the epochs that it has behind it; None if it goes on.

  From the minimal number of epochs on: 'train error' below 1e-5; 'validation error'
  above that of 5 epochs before; 'no change' of it of 1e-5 since the epoch before; or
  'last epoch'. At any time: 'diverged', when one of the three is not finite.

  Args:
    protocol: of the run.
    costs: after each epoch; what is not finite is None.
    train_errors: likewise, as fractions.
    validation_errors: likewise.
  """
  train, validation = train_errors[-1], validation_errors[-1]
  if costs[-1] is None or train is None or validation is None:
    return 'diverged'
  epochs = len(validation_errors)
  if epochs >= protocol.min_epochs:
    if train < _TOLERANCE:
      return 'train error'
    before = validation_errors[-1 - _LOOK_BACK] if epochs > _LOOK_BACK else None
    if before is not None and validation > before:
      return 'validation error'
    last = validation_errors[-2] if epochs > 1 else None
    if last is not None and abs(validation - last) < _TOLERANCE:
      return 'no change'
  return 'last epoch' if epochs >= protocol.max_epochs else None
