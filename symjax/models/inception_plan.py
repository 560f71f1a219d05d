"""The plan of Inception-v3 (Szegedy et al., arXiv:1512.00567), as torchvision has it.

A block is a tuple of branches, whose outputs are concatenated. A branch is a chain of
steps: a unit (convolution, BatchNorm, ReLU), a pooling, or a fork, which is a tuple of
units side by side whose outputs are concatenated.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Unit:
  """A convolution with BatchNorm and ReLU.

  Attributes:
    name: torchvision's.
    features: output channels as published.
    kernel: taps, (vertical, horizontal).
    stride: pixels between positions.
    border: whether the map is padded, which at stride 1 keeps its size.
    std: of the normal distribution that the kernel starts from.
  """

  name: str
  features: int
  kernel: tuple[int, int] = (1, 1)
  stride: int = 1
  border: bool = True
  std: float = 0.1


@dataclasses.dataclass(frozen=True)
class Pool:
  """A pooling.

  Attributes:
    name: torchvision's, where it has one.
    kind: 'max' or 'average'.
    kernel: taps, both ways.
    stride: pixels between positions.
    border: whether the map is padded, which at stride 1 keeps its size.
  """

  name: str
  kind: str
  kernel: int = 3
  stride: int = 2
  border: bool = False


Step = Unit | Pool | tuple[Unit, ...]
Branch = tuple[Step, ...]
Block = tuple[Branch, ...]

AVERAGE = Pool('average_pool', 'average', stride=1, border=True)
MAX = Pool('max_pool', 'max')


def _mixed_35(pool_features: int) -> Block:
  """At 35x35: 5x5 and two 3x3 (the paper's Fig. 5, with its 5x5 kept)."""
  return (
    (Unit('branch1x1', 64),),
    (Unit('branch5x5_1', 48), Unit('branch5x5_2', 64, (5, 5))),
    (
      Unit('branch3x3dbl_1', 64),
      Unit('branch3x3dbl_2', 96, (3, 3)),
      Unit('branch3x3dbl_3', 96, (3, 3)),
    ),
    (AVERAGE, Unit('branch_pool', pool_features)),
  )


def _mixed_17(features: int) -> Block:
  """At 17x17: 7x7 as 1x7 and 7x1 (Fig. 6)."""
  return (
    (Unit('branch1x1', 192),),
    (
      Unit('branch7x7_1', features),
      Unit('branch7x7_2', features, (1, 7)),
      Unit('branch7x7_3', 192, (7, 1)),
    ),
    (
      Unit('branch7x7dbl_1', features),
      Unit('branch7x7dbl_2', features, (7, 1)),
      Unit('branch7x7dbl_3', features, (1, 7)),
      Unit('branch7x7dbl_4', features, (7, 1)),
      Unit('branch7x7dbl_5', 192, (1, 7)),
    ),
    (AVERAGE, Unit('branch_pool', 192)),
  )


# At 8x8: 1x3 and 3x1 side by side (Fig. 7).
_MIXED_8: Block = (
  (Unit('branch1x1', 320),),
  (
    Unit('branch3x3_1', 384),
    (Unit('branch3x3_2a', 384, (1, 3)), Unit('branch3x3_2b', 384, (3, 1))),
  ),
  (
    Unit('branch3x3dbl_1', 448),
    Unit('branch3x3dbl_2', 384, (3, 3)),
    (Unit('branch3x3dbl_3a', 384, (1, 3)), Unit('branch3x3dbl_3b', 384, (3, 1))),
  ),
  (AVERAGE, Unit('branch_pool', 192)),
)

# From 35x35 to 17x17, and on to 8x8 (Fig. 10).
_REDUCTION_35: Block = (
  (Unit('branch3x3', 384, (3, 3), 2, border=False),),
  (
    Unit('branch3x3dbl_1', 64),
    Unit('branch3x3dbl_2', 96, (3, 3)),
    Unit('branch3x3dbl_3', 96, (3, 3), 2, border=False),
  ),
  (MAX,),
)
_REDUCTION_17: Block = (
  (
    Unit('branch3x3_1', 192),
    Unit('branch3x3_2', 320, (3, 3), 2, border=False),
  ),
  (
    Unit('branch7x7x3_1', 192),
    Unit('branch7x7x3_2', 192, (1, 7)),
    Unit('branch7x7x3_3', 192, (7, 1)),
    Unit('branch7x7x3_4', 192, (3, 3), 2, border=False),
  ),
  (MAX,),
)

STEM: tuple[Unit | Pool, ...] = (
  Unit('Conv2d_1a_3x3', 32, (3, 3), 2, border=False),
  Unit('Conv2d_2a_3x3', 32, (3, 3), border=False),
  Unit('Conv2d_2b_3x3', 64, (3, 3)),
  Pool('maxpool1', 'max'),
  Unit('Conv2d_3b_1x1', 80),
  Unit('Conv2d_4a_3x3', 192, (3, 3), border=False),
  Pool('maxpool2', 'max'),
)
BLOCKS: dict[str, Block] = {
  'Mixed_5b': _mixed_35(32),
  'Mixed_5c': _mixed_35(64),
  'Mixed_5d': _mixed_35(64),
  'Mixed_6a': _REDUCTION_35,
  'Mixed_6b': _mixed_17(128),
  'Mixed_6c': _mixed_17(160),
  'Mixed_6d': _mixed_17(160),
  'Mixed_6e': _mixed_17(192),
  'Mixed_7a': _REDUCTION_17,
  'Mixed_7b': _MIXED_8,
  'Mixed_7c': _MIXED_8,
}
# What has strides, in order.
STRIDED = ('Conv2d_1a_3x3', 'maxpool1', 'maxpool2', 'Mixed_6a', 'Mixed_7a')
AUXILIARY_INPUT = 'Mixed_6e'  # The block behind which the auxiliary head sits.
AUXILIARY: Branch = (
  Pool('average_pool', 'average', 5, 3),
  Unit('conv0', 128),
  Unit('conv1', 768, (5, 5), border=False, std=0.01),
)
