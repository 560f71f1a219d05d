"""What a file of unknown weights holds: its framework, its axes, its convolutions."""

import dataclasses
import re
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from symjax.checkpoints.formats import HDF5, TORCH_LEGACY, TORCH_ZIP, WORKDIR, Format
from symjax.checkpoints.names import is_flax
from symjax.errors import UserError

LAYOUTS = ('OIHW', 'HWIO')
LARGEST_SIDE = (
  64  # Taps; an array with longer sides is a table of positions, a map, ...
)

_TORCH_ENDING = re.compile(r'(^|[./])weight$')
_STATISTICS = re.compile(
  r'(^|[./_])(running_(mean|var)|moving_(mean|variance)|batch_stats)([./:]|$)'
)


@dataclasses.dataclass(frozen=True)
class Origin:
  """Where weights come from.

  Attributes:
    framework: 'PyTorch', 'Keras' or 'Flax', or 'unknown framework'.
    layout: the axes of kernels, 'OIHW' or 'HWIO'. Transposed convolutions have I and O
      changed, depthwise ones one input: H and W are where they are.
    evidence: what that was concluded from.
  """

  framework: str
  layout: str
  evidence: str


def find_origin(
  arrays: Mapping[str, np.ndarray], kind: Format, layout: str | None = None
) -> Origin:
  """The framework and layout of weights.

  The first of these rules that applies: the layout that is asked for; arrays of rank 4
  called `weight` are PyTorch's, OIHW, and `kernel`s are of Flax or Keras, HWIO; the
  smaller sides are H and W, by the majority of the arrays; the format's own framework.

  Args:
    arrays: by name, as read.
    kind: the format that they were read from.
    layout: overrules the rest; one of `LAYOUTS`.

  Raises:
    UserError: an unknown layout, no array of rank 4, or nothing tells which it is.
  """
  framework = _framework(arrays, kind)
  if layout is not None:
    if layout not in LAYOUTS:
      raise UserError(f'unknown layout {layout!r}; choose from {", ".join(LAYOUTS)}')
    return Origin(framework, layout, 'as asked')
  kernels = [name for name, array in arrays.items() if array.ndim == 4]
  if not kernels:
    raise UserError(f'none of its {len(arrays)} arrays is a convolution')
  if any(_TORCH_ENDING.search(name) for name in kernels):
    return Origin(framework, 'OIHW', 'by the names')
  if is_flax(dict.fromkeys(re.sub(r':0$', '', name) for name in kernels)):
    return Origin(framework, 'HWIO', 'by the names')
  first = [arrays[name].shape[0] * arrays[name].shape[1] for name in kernels]
  last = [arrays[name].shape[2] * arrays[name].shape[3] for name in kernels]
  votes = int(np.sign(np.subtract(first, last)).sum())
  if votes:
    return Origin(framework, 'OIHW' if votes > 0 else 'HWIO', 'by the shapes')
  if kind in (HDF5, TORCH_LEGACY, TORCH_ZIP, WORKDIR):
    layout = 'OIHW' if framework == 'PyTorch' else 'HWIO'
    return Origin(framework, layout, 'by the format')
  raise UserError(
    'neither names nor shapes tell the order of axes; give --layout=OIHW (PyTorch) or '
    '--layout=HWIO (Flax, Keras)'
  )


def _framework(arrays: Mapping[str, np.ndarray], kind: Format) -> str:
  if kind in (TORCH_LEGACY, TORCH_ZIP):
    return 'PyTorch'
  if kind == HDF5:
    return 'Keras'
  if kind == WORKDIR or is_flax(arrays):
    return 'Flax'
  if any(_TORCH_ENDING.search(name) for name in arrays):
    return 'PyTorch'
  return 'unknown framework'


def find_kernels(
  arrays: Mapping[str, np.ndarray], layout: str
) -> tuple[dict[str, np.ndarray], dict[str, tuple[int, ...]]]:
  """The arrays that look like 2-D convolutions, and those that resemble none.

  A convolution is floating and of rank 4, with sides up to `LARGEST_SIDE` that are not
  both 1.

  Returns:
    Name -> array of the convolutions; name -> shape of the arrays that are of no
    common kind: of rank 3, or 5 and more, or of rank 4 and no convolution. Vectors,
    dense layers and 1x1 convolutions are in neither.
  """
  kernels, odd = {}, {}
  for name, array in arrays.items():
    if array.ndim != 4:
      if array.ndim > 2:
        odd[name] = array.shape
      continue
    sides = [array.shape[layout.index(axis)] for axis in 'HW']
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    if not floating or not array.size or max(sides) > LARGEST_SIDE:
      odd[name] = array.shape
    elif max(sides) > 1:
      kernels[name] = array
  return kernels, odd


def lacks_normalisation(arrays: Mapping[str, np.ndarray]) -> bool:
  """Whether BatchNorm may have been folded into the weights.

  So it may where every array of rank 4 has a bias beside it (a vector of the same
  layer, as long as one of its sides) and no array holds running statistics. Networks
  made without BatchNorm look the same.
  """
  if any(_STATISTICS.search(name) for name in arrays):
    return False
  vectors: dict[str, set[int]] = {}
  for name, array in arrays.items():
    if array.ndim == 1:
      vectors.setdefault(_layer(name), set()).add(len(array))
  kernels = {name: array for name, array in arrays.items() if array.ndim == 4}
  return bool(kernels) and all(
    vectors.get(_layer(name), set()) & set(array.shape)
    for name, array in kernels.items()
  )


def _layer(name: str) -> str:
  return re.sub(r'[./]?[^./]*$', '', name)
