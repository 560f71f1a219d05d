"""What the score of a kernel without any structure looks like.

The score of a random kernel depends on its size: 0.41 for 3x3, 0.31 for 11x11. So a
score means little without the band of its size beside it.
"""

import dataclasses
import functools

import numpy as np

from symjax.errors import UserError
from symjax.symmetry.d4 import group_of

# Taps drawn in all for one band; larger kernels, whose scores spread less, get fewer
# samples. The chunk keeps the memory to some MB.
TAPS = 1 << 21
CHUNK = 1 << 17


@dataclasses.dataclass(frozen=True)
class Band:
  """The score's distribution over kernels of independent Gaussian taps.

  Attributes:
    mean: mean score.
    std: standard deviation of the score.
    standard_error: of `mean`, std / sqrt(samples).
    samples: number of kernels drawn.
  """

  mean: float
  std: float
  standard_error: float
  samples: int


@functools.cache
def random_band(h: int, w: int) -> Band:
  """The score of h x w kernels of iid zero-mean Gaussian taps, by Monte Carlo.

  It is the band of a layer's *mean* kernel before training whatever the initialiser:
  a mean of many iid weights is Gaussian by the central limit theorem, and the score
  does not see its variance. For a layer's single kernels it holds if the initialiser
  is Gaussian. Drawn in float64 from a fixed seed, so the same on every machine.

  Raises:
    UserError: the kernel is 1x1.
  """
  group = group_of(h, w)
  if group is None:
    raise UserError('a 1x1 kernel has no score and no random band')
  samples = TAPS // (h * w)
  step = max(1, CHUNK // (h * w))
  generator = np.random.default_rng(0)
  scores = []
  for start in range(0, samples, step):
    kernels = generator.standard_normal((min(step, samples - start), h * w))
    kernels /= np.linalg.norm(kernels, axis=1, keepdims=True)
    distances = [
      np.linalg.norm(kernels[:, permutation] - kernels, axis=1)
      for permutation in group.elements.values()
    ]
    scores.append(1 - np.mean(distances, axis=0) / 2)
  drawn = np.concatenate(scores)
  std = float(drawn.std(ddof=1))
  return Band(float(drawn.mean()), std, std / samples**0.5, samples)
