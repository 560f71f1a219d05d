"""The order of axes: PyTorch's and Flax's."""

import numpy as np

Map = tuple[int, int, int]


def from_torch(array: np.ndarray, ending: str, flattened: Map | None) -> np.ndarray:
  """An array of PyTorch in Flax's order of axes.

  Args:
    array: a kernel of a convolution [out, in / groups, height, width] or of a dense
      layer [out, in]; anything else is left as it is.
    ending: our name of it in its layer; kernels are called `kernel`.
    flattened: (h, w, c) of the map whose flattened form a dense layer reads.
  """
  if ending != 'kernel':
    return array
  if array.ndim == 4:
    return array.transpose(2, 3, 1, 0)
  if array.ndim == 2:
    if flattened and array.shape[1] == np.prod(flattened):
      h, w, c = flattened
      maps = array.reshape(-1, c, h, w).transpose(0, 2, 3, 1)
      array = maps.reshape(len(array), -1)
    return array.T
  return array


def to_torch(array: np.ndarray, ending: str, flattened: Map | None) -> np.ndarray:
  """The inverse of `from_torch`."""
  if ending != 'kernel':
    return array
  if array.ndim == 4:
    return array.transpose(3, 2, 0, 1)
  if array.ndim == 2:
    array = array.T
    if flattened:
      maps = array.reshape(-1, *flattened).transpose(0, 3, 1, 2)
      array = maps.reshape(len(array), -1)
  return array
