"""TPU chips: what they hold, how fast they are, which slices of them there are."""

import dataclasses

_GIB = 2**30

_SMALL_SLICES = ('1x1', '2x2', '2x4', '4x4', '4x8', '8x8', '8x16', '16x16')
_CUBES = (
  '2x2x1',
  '2x2x2',
  '2x4x4',
  '4x4x4',
  '4x4x8',
  '4x8x8',
  '8x8x8',
  '8x8x16',
  '8x16x16',
  '16x16x16',
  '16x16x24',
)


@dataclasses.dataclass(frozen=True)
class Chip:
  """One chip.

  Attributes:
    name: as in the name of a topology.
    flops: bfloat16 operations a second, at most. Those of float32 are no fewer: at
      JAX's default precision the matrix unit rounds its operands to bfloat16.
    hbm_bytes: of memory that a program may have.
    hbm_bandwidth: bytes a second between memory and chip.
    ici_bandwidth: bytes a second to other chips, over all links, in one direction.
    slices: the topologies of it that can be had.
  """

  name: str
  flops: float
  hbm_bytes: int
  hbm_bandwidth: float
  ici_bandwidth: float
  slices: tuple[str, ...]


# https://docs.cloud.google.com/tpu/docs/v5e, /v5p and /v6e, but for the memory: the
# documents say 16, 95 and 32 GB, and here stands above what the compiler (libtpu
# 0.0.52) refuses a program. The documents give the bandwidth between chips as the sum
# of both directions.
CHIPS = {
  chip.name: chip
  for chip in (
    Chip('v5e', 197e12, int(15.75 * _GIB), 819e9, 400e9 / 2, _SMALL_SLICES),
    Chip('v5p', 459e12, int(95.73 * _GIB), 2765e9, 1200e9 / 2, _CUBES),
    Chip('v6e', 918e12, int(31.24 * _GIB), 1638e9, 800e9 / 2, _SMALL_SLICES),
  )
}
