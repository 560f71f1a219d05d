"""One function's time against another's."""

import statistics
import time
from collections.abc import Callable
from typing import Any


def compare(
  name: str,
  subject: Callable[[], Any],
  alternative: Callable[[], Any],
  against: str,
  repeats: int = 15,
) -> dict[str, Any]:
  """Times two functions in turn, after a run of each that is not counted.

  The machine's speed drifts, so the ratio is the median of the ratios of neighbours.

  Args:
    name: of the benchmark.
    subject: blocks until its work is done.
    alternative: likewise.
    against: what the alternative is, in words.
    repeats: pairs that are counted.

  Returns:
    The record that `run.benchmark` prints.
  """

  def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began

  subject()
  alternative()
  pairs = [(seconds(subject), seconds(alternative)) for _ in range(repeats)]
  ratios = sorted(one / other for one, other in pairs)
  return {
    'benchmark': name,
    'ratio': statistics.median(ratios),
    'ratio_quartiles': [ratios[repeats // 4], ratios[-1 - repeats // 4]],
    'against': against,
    'seconds': statistics.median(one for one, _ in pairs),
    'seconds_against': statistics.median(other for _, other in pairs),
    'repeats': repeats,
  }
