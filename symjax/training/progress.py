"""What a person sees of a running training: a bar on a terminal, lines in a log."""

import sys
import time
from collections.abc import Mapping
from typing import Self

import tqdm

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
  """Shows how far a run is, at which rate, and when it ends; a context manager.

  On a terminal one bar is kept up to date; anywhere else a plain line appears at
  most every ten seconds, and for every evaluation.
  """

  def __init__(self, first_step: int, steps: int, visible: bool) -> None:
    """Begins at `first_step` of `steps`; only one process should be visible."""
    self._visible = visible
    self._steps = steps
    self._last_line = time.monotonic()
    self._bar = None
    if visible and sys.stderr.isatty():
      self._bar = tqdm.tqdm(
        total=steps, initial=first_step, unit='step', dynamic_ncols=True
      )

  def train(self, row: Mapping[str, float]) -> None:
    """Shows a row of training metrics."""
    step, rate = int(row['step']), row['images_per_second']
    if self._bar is not None:
      self._bar.update(step - self._bar.n)
      self._bar.set_postfix_str(f'loss {row["train_loss"]:.3f}, {rate:.0f} images/s')
    elif self._visible and time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
      self._last_line = time.monotonic()
      left = (self._steps - step) * row['seconds_per_step']
      _print(
        f'step {step}/{self._steps}  epoch {row["epoch"]:.2f}  '
        f'loss {row["train_loss"]:.4f}  {rate:.0f} images/s  '
        f'{_clock(left)} left'
      )

  def evaluation(self, row: Mapping[str, float]) -> None:
    """Shows a row of evaluation metrics, always."""
    numbers = '  '.join(
      f'{name} {value:.4g}' for name, value in row.items() if isinstance(value, float)
    )
    self.note(f'step {row["step"]}/{self._steps}  {numbers}')

  def note(self, line: str) -> None:
    """Shows a line beside the bar."""
    if self._bar is not None:
      self._bar.write(line, file=sys.stderr)
    elif self._visible:
      _print(line)

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *error: object) -> None:
    if self._bar is not None:
      self._bar.close()


def _print(line: str) -> None:
  print(line, file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return f'{hours}:{minutes:02}:{seconds:02}' if hours else f'{minutes}:{seconds:02}'
