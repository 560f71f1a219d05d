"""The largest batch that fits, found in a few compilations."""

import dataclasses
from collections.abc import Callable
from typing import Any

_AIM = 0.97  # Of the memory: what is extrapolated is a little off.
_GROWTH = 8  # At most, from one try to the next.


@dataclasses.dataclass(frozen=True)
class LargestBatch:
  """Between which batches the largest that fits lies; examples at once of one chip.

  Attributes:
    fits: the largest that was seen to fit; 0 if none was.
    exceeds: the smallest that was seen not to fit, or None.
    compilations: how many it took.
  """

  fits: int
  exceeds: int | None
  compilations: int

  def as_json(self, chips: int, microbatches: int = 1) -> dict[str, Any]:
    """The same of the global batch, and of a chip in all its microbatches."""
    fits = self.fits * microbatches
    exceeds = None if self.exceeds is None else self.exceeds * microbatches
    return {
      'fits': fits * chips,
      'fits_per_chip': fits,
      'exceeds': None if exceeds is None else exceeds * chips,
      'exceeds_per_chip': exceeds,
      'compilations': self.compilations,
    }


def find_largest_batch(
  peak_bytes: Callable[[int], int | None],
  first: int,
  first_peak: int | None,
  memory: int,
  compilations: int,
) -> LargestBatch:
  """Searches until two batches are within an eighth, or the compilations are spent.

  Memory is nearly linear in the batch, so each try is where the line through the two
  last that fit meets the memory, and where that is known to be too much, in the middle.
  Beyond that line the compiler may still find a way, by computing things twice, so the
  search ends only at a batch that does not fit.

  Args:
    peak_bytes: examples of one chip -> peak memory, or None if they do not fit.
    first: examples of one chip, tried before.
    first_peak: what `peak_bytes` gave for it.
    memory: bytes.
    compilations: the most calls of `peak_bytes`.
  """
  known = [] if first_peak is None else [(first, first_peak)]
  exceeds = first if first_peak is None else None
  done = 0
  while done < compilations:
    batch = _next(known, exceeds, _AIM * memory)
    fits = known[-1][0] if known else 0
    if batch <= fits or (exceeds is not None and batch >= exceeds):
      break
    peak = peak_bytes(batch)
    done += 1
    if peak is None:
      exceeds = batch
    else:
      known.append((batch, peak))
  return LargestBatch(known[-1][0] if known else 0, exceeds, done)


def _next(known: list[tuple[int, int]], exceeds: int | None, memory: float) -> int:
  """The batch to try; none that is new if the search is at its end."""
  if not known:
    return (exceeds or 0) // 2
  fits, peak = known[-1]
  least = fits + max(1, fits // 8)
  # The parameters' share stays, so before there is a line this is no overestimate.
  before, base = known[-2] if len(known) > 1 else (0, 0)
  slope = (peak - base) / (fits - before)
  guess = _rounded(fits + (memory - peak) / slope) if slope > 0 else 2 * fits
  if exceeds is None:
    return max(min(guess, _GROWTH * fits), least)
  if least >= exceeds:
    return fits
  return max(guess, least) if guess < exceeds else (fits + exceeds) // 2


def _rounded(batch: float) -> int:
  """Down to a number of four binary digits, then zeros."""
  whole = int(batch)
  unit = 1 << max(whole.bit_length() - 4, 0)
  return whole // unit * unit
