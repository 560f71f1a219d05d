"""How long a step takes at least, and what bounds it."""

import dataclasses
from typing import Any

from symjax.experiments.compilation.chips import Chip


@dataclasses.dataclass(frozen=True)
class Roofline:
  """The least time of a step, were each part of a chip always at its peak.

  Attributes:
    compute_seconds: of its operations.
    memory_seconds: of the bytes that they read and write.
    interconnect_seconds: of the bytes that go to other chips.
  """

  compute_seconds: float
  memory_seconds: float
  interconnect_seconds: float

  @property
  def bound(self) -> str:
    """What takes longest."""
    times = {
      'compute': self.compute_seconds,
      'memory': self.memory_seconds,
      'interconnect': self.interconnect_seconds,
    }
    return max(times, key=lambda name: times[name])

  @property
  def seconds(self) -> float:
    """Of the whole step, if the three overlap entirely."""
    return max(self.compute_seconds, self.memory_seconds, self.interconnect_seconds)

  def as_json(self) -> dict[str, Any]:
    """All of it, in plain values."""
    return {**dataclasses.asdict(self), 'seconds': self.seconds, 'bound': self.bound}


def make_roofline(chip: Chip, flops: float, accessed: float, sent: float) -> Roofline:
  """The least time of a step on a chip.

  Args:
    chip: its peaks.
    flops: operations of the step, a chip's share.
    accessed: bytes that the chip's operations read and write, as XLA's cost analysis
      counts them: also of what stays on the chip, so it overstates the memory's part.
    sent: bytes that the chip sends to others.
  """
  return Roofline(
    flops / chip.flops, accessed / chip.hbm_bandwidth, sent / chip.ici_bandwidth
  )
