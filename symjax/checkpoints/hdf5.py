"""Keras's HDF5 files: of weights, or of a whole model."""

import itertools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from symjax.checkpoints.archive import LARGEST_RATIO
from symjax.checkpoints.bounds import require_size

_MODEL, _OPTIMIZER = 'model_weights', 'optimizer_weights/'  # Groups of a whole model.
_NUMBERS = 'fiub'  # Kinds of NumPy's types: floats, integers, booleans.


def read_hdf5(path: Path) -> dict[str, np.ndarray]:
  """The weights by name, in Keras's order of layers and of their weights.

  A weight is named by its layer and the last part of its own name: `conv1/kernel`
  for `conv1/kernel:0` of layer `conv1`. In files that do not list their layers, and
  where such names would not be unique, it is the path in the file. An optimiser's
  state is left.

  Raises:
    ValueError: an array declares another size than it has, or lies outside the file.
    OSError: the file is damaged.
  """
  with h5py.File(path, 'r') as file:
    groups, datasets = _items(file)
    if _MODEL in groups:
      groups, datasets = _items(groups[_MODEL])
    size = path.stat().st_size
    listed = list(_listed(groups, size))
    names = {inner: short for inner, short in listed if inner in datasets}
    if len(set(names.values())) < len(datasets) or len(names) < len(datasets):
      names = {inner: inner.removesuffix(':0') for inner in datasets}
    return {name: _array(inner, datasets[inner], size) for inner, name in names.items()}


def _items(root: Any) -> tuple[dict[str, Any], dict[str, Any]]:
  """Groups and arrays of numbers by path; the root is ''.

  Only what is in the file itself is visited, and that once: links are not followed.
  """
  groups: dict[str, Any] = {'': root}
  datasets: dict[str, Any] = {}

  def visit(path: str, item: Any) -> None:
    if isinstance(item, h5py.Group):
      groups[path] = item
    elif item.dtype.kind in _NUMBERS and not path.startswith(_OPTIMIZER):
      datasets[path] = item

  root.visititems(visit)
  return groups, datasets


def _listed(groups: Mapping[str, Any], size: int) -> Iterator[tuple[str, str]]:
  """(path, short name) of the weights that the file lists, in Keras's order."""
  for layer in _strings(groups[''], 'layer_names', size):
    if layer in groups:
      for weight in _strings(groups[layer], 'weight_names', size):
        last = weight.split('/')[-1].removesuffix(':0')
        yield f'{layer}/{weight}', f'{layer}/{last}'


def _strings(item: Any, name: str, size: int) -> list[str]:
  """The strings of an attribute, which Keras splits into several where it is long."""
  parts = [name] if name in item.attrs else []
  numbered = (f'{name}{index}' for index in itertools.count())
  parts += itertools.takewhile(lambda part: part in item.attrs, numbered)
  strings: list[str] = []
  for part in parts:
    place = item.attrs.get_id(part)
    if math.prod(place.shape) * place.dtype.itemsize > size:
      raise ValueError(f'its list {part} is larger than the file')
    for value in np.ravel(item.attrs[part]):
      strings.append(value.decode() if isinstance(value, bytes) else str(value))
  return strings


def _array(name: str, dataset: Any, size: int) -> np.ndarray:
  """The content of a dataset of a file of so many bytes."""
  stored = dataset.id.get_storage_size()
  if dataset.external or dataset.is_virtual:
    raise ValueError(f'its array {name} lies in another file')
  if stored > size:
    raise ValueError(f'its array {name} is larger than the file')
  if dataset.chunks is None:
    require_size(name, dataset.shape, dataset.dtype.itemsize, stored)
  else:
    chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize
    if max(dataset.nbytes, chunk) > LARGEST_RATIO * stored:
      raise ValueError(
        f'its array {name} declares the shape {list(dataset.shape)}, more than '
        f'{stored} compressed bytes can hold'
      )
  values = dataset[()]
  return values.astype(values.dtype.newbyteorder('='), copy=False)
