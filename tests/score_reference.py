"""S(K) by its printed formula."""

import numpy as np


def plain_score(kernel):
  """Eq. 1 as it is printed, for one kernel, by numpy in float64."""
  kernel = np.asarray(kernel, np.float64)
  unit = kernel / np.sqrt((kernel**2).sum())
  h, w = unit.shape
  if h == w:
    images = [np.rot90(unit, turns) for turns in (1, 2, 3)]
    images += [np.rot90(np.fliplr(unit), turns) for turns in range(4)]
  elif min(h, w) > 1:
    images = [np.rot90(unit, 2), np.fliplr(unit), np.flipud(unit)]
  else:
    images = [np.flip(unit)]
  return 1 - np.mean([np.sqrt(((image - unit) ** 2).sum()) for image in images]) / 2
