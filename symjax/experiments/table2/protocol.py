"""Section 4 of "Understanding symmetries in deep networks", in numbers."""

import dataclasses

from symjax.errors import UserError

# Table 2: depth -> method -> mean and std of the test error over 10 runs.
PUBLISHED = {
  2: {'b-sgd': (0.0206, 0.0024), 'un': (0.0199, 0.0046)},
  4: {'b-sgd': (0.0204, 0.0027), 'un': (0.0179, 0.0025)},
}
REDUCTIONS = ('sum', 'mean')


@dataclasses.dataclass(frozen=True)
class Protocol:
  """How a run is trained. The defaults are the paper's, where it gives them.

  It leaves open the batch size, the reduction of the loss over a batch and the bold
  driver's factors. Batches of 100 and a *sum* over them are what reproduces its
  numbers: its rates, which end at 0.01, are too small by far for a mean.

  Attributes:
    runs: of each depth and method. Run i has the same splits and batches everywhere,
      and at each depth the same initial weights.
    seed: of all runs.
    loss_reduction: over a batch, 'sum' or 'mean'.
    batch_size: images of a step.
    bold_driver: a key of `symjax.optim.BOLD_DRIVERS`; driven by the mean cost of the
      batches of an epoch.
    rates: candidates; on equal validation errors the first is chosen.
    selection_train: images on which candidates are tried.
    selection_validation: images by whose error they are judged after the last epoch.
    selection_epochs: with a fixed rate.
    train: images of the training split, drawn for each run.
    validation: images of the validation split, drawn from the others.
    min_epochs: before which no run stops.
    max_epochs: after which none goes on.

  Raises:
    UserError: a number of runs or a reduction that makes no experiment.
  """

  runs: int = 10
  seed: int = 0
  loss_reduction: str = 'sum'
  batch_size: int = 100
  bold_driver: str = 'table2'
  rates: tuple[float, ...] = (1e-2, 1e-3, 1e-4, 1e-5)
  selection_train: int = 1_000
  selection_validation: int = 500
  selection_epochs: int = 50
  train: int = 50_000
  validation: int = 10_000
  min_epochs: int = 25
  max_epochs: int = 60

  def __post_init__(self) -> None:
    if self.runs < 2:
      raise UserError(f'{self.runs} runs; a standard deviation needs 2 or more')
    if not 0 <= self.seed < 2**32:
      raise UserError(f'seed {self.seed} is not one of 0..{2**32 - 1}')
    if self.loss_reduction not in REDUCTIONS:
      raise UserError(
        f'unknown loss reduction {self.loss_reduction!r}; choose from '
        f'{", ".join(REDUCTIONS)}'
      )
