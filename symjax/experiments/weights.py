"""The symmetry profile of weights from anywhere."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symjax import figures, records, symmetry
from symjax.checkpoints import origin
from symjax.checkpoints.formats import WORKDIR, identify, read_as
from symjax.errors import UserError
from symjax.experiments.architecture import (
  Architecture,
  architecture_of_run,
  recognise,
)
from symjax.experiments.presentation import kernel_shapes, present_profile
from symjax.experiments.strided_presentation import present_strided_together
from symjax.experiments.workdir import Workdir

_LISTED = 5  # Odd arrays named in the summary.


@dataclasses.dataclass(frozen=True)
class MeasuredWeights:
  """A file's profile, and what was found out about the file.

  Attributes:
    name: of the file.
    origin: of its arrays.
    architecture: the published network that it is of; None if none is recognised.
    arrays: how many it has.
    pointwise: how many of them are 1x1 convolutions, which have no symmetry.
    odd: shapes of the arrays that are of no common kind, by name.
    folded: whether BatchNorm is folded into the weights: 'yes', 'perhaps' or 'no'.
    profile: as in `profile.json`.
    shapes: (N, C, H, W) of its layers.
    marks: 'at' or 'near' for layers at and near a loss of resolution.
  """

  name: str
  origin: origin.Origin
  architecture: Architecture | None
  arrays: int
  pointwise: int
  odd: Mapping[str, tuple[int, ...]]
  folded: str
  profile: Mapping[str, Any]
  shapes: Mapping[str, tuple[int, ...]]
  marks: Mapping[str, str]

  @property
  def source(self) -> str:
    """The file in a few words, for captions."""
    network = f', {self.architecture.title}' if self.architecture else ''
    folded = {'yes': ', BatchNorm folded', 'perhaps': ', BatchNorm may be folded'}
    return (
      f'{self.name} ({self.origin.framework}{network}{folded.get(self.folded, "")})'
    )

  def summary(self) -> str:
    """One line: arrays, convolutions, framework, layout, and what is unusual."""
    parts = [
      f'{self.name}: {self.arrays} arrays, {len(self.profile["layers"])} convolutions '
      f'larger than 1x1 and {self.pointwise} of 1x1',
      f'{self.origin.framework}, {self.origin.layout} {self.origin.evidence}',
    ]
    if self.architecture:
      parts.append(f'the network is a {self.architecture.title}')
    else:
      parts.append('the network is not known, so no strides')
    if self.odd:
      named = [f'{name} {list(shape)}' for name, shape in self.odd.items()]
      more = ', ...' if len(named) > _LISTED else ''
      parts.append(f'left out {", ".join(named[:_LISTED])}{more}')
    if self.folded == 'yes':
      parts.append('BatchNorm is folded into the weights, which changes their scores')
    elif self.folded == 'perhaps':
      parts.append(
        'BatchNorm may be folded into the weights, which would change their scores: '
        'every convolution has a bias, and there are no running statistics'
      )
    return '; '.join(parts)


def profile_weights(
  weights: Sequence[str | Path], out: str | Path, layout: str | None = None
) -> None:
  """Writes profiles and figures of files of weights, and prints their tables.

  One file gives `profile.json` and `figures/` in `out`; several give a folder each, of
  the file's name, `figures/` with all of them, and `strided.json`: what the strided
  layers have in common of those networks that have some, if there are two or more.

  Args:
    weights: paths, as `symjax.checkpoints.read` takes them.
    out: folder to write to, made if need be.
    layout: of the kernels in all of them, 'OIHW' or 'HWIO'; None detects it in each.

  Raises:
    UserError: a file cannot be read, or holds no convolution.
  """
  # All are measured before anything is written.
  measured = [measure_weights(Path(path), layout) for path in weights]
  labels = _labels([Path(path) for path in weights])
  target = Workdir(Path(out))
  for label, one in zip(labels, measured, strict=True):
    own = target if len(measured) == 1 else Workdir(target.path / label)
    own.path.mkdir(parents=True, exist_ok=True)
    print(one.summary())
    records.write_json(own.profile, one.profile)
    present_profile(one.profile, one.shapes, one.marks, own.figures, label, one.source)
  if len(measured) > 1:
    _present_together(dict(zip(labels, measured, strict=True)), target)


def _present_together(measured: Mapping[str, MeasuredWeights], target: Workdir) -> None:
  """Several networks in one figure, and what their strided layers have in common."""
  profiles = {label: one.profile for label, one in measured.items()}
  sources = {label: one.source for label, one in measured.items()}
  figures.symmetry_profile(
    profiles,
    target.figures / 'symmetry_profile.png',
    'Symmetry of the mean kernel of every layer, beside that of its single kernels '
    f'and of random ones: {"; ".join(sources.values())}.',
  )
  present_strided_together(profiles, sources, target.path, target.figures)


def measure_weights(path: Path, layout: str | None = None) -> MeasuredWeights:
  """The profile of a file of weights.

  Args:
    path: as `symjax.checkpoints.read` takes it.
    layout: of its kernels, 'OIHW' or 'HWIO'; None detects it.

  Raises:
    UserError: the file cannot be read, or holds no convolution that has a profile.
  """
  kind = identify(path)
  arrays = read_as(kind, path)
  try:
    found = origin.find_origin(arrays, kind, layout)
    kernels, odd = origin.find_kernels(arrays, found.layout)
    if not kernels:
      raise UserError(f'none of its {len(arrays)} arrays is a convolution above 1x1')
    if kind is WORKDIR:
      architecture: Architecture | None = architecture_of_run(path)
    else:
      architecture = recognise(arrays, found.layout)
    if architecture:
      kernels = {name: kernels[name] for name in architecture.names if name in kernels}
    strides = architecture.strides if architecture else {}
    marks = architecture.marks if architecture else {}
    layers = _layer_names(kernels, found.layout)
    named = {layers[name]: kernel for name, kernel in kernels.items()}
    profile = symmetry.profile(named, found.layout, _rename(strides, layers)).to_json()
  except UserError as error:
    raise UserError(f'{path}: {error}') from error
  return MeasuredWeights(
    name=path.name,
    origin=found,
    architecture=architecture,
    arrays=len(arrays),
    pointwise=sum(_is_pointwise(array, found.layout) for array in arrays.values()),
    odd=odd,
    folded=find_folding(arrays, architecture),
    profile=profile,
    shapes=kernel_shapes(named, found.layout),
    marks=_rename(marks, layers),
  )


def _layer_names(kernels: Mapping[str, np.ndarray], layout: str) -> dict[str, str]:
  """Name of an array -> that of its layer in a profile."""
  names = symmetry.convolutions(kernels, layout)
  return {
    array: layer.removeprefix('params/')
    for array, layer in zip(kernels, names, strict=True)
  }


def _rename(values: Mapping[str, Any], layers: Mapping[str, str]) -> dict[str, Any]:
  """Values by array as values by layer; those of other arrays are left out."""
  return {layers[name]: value for name, value in values.items() if name in layers}


def _is_pointwise(array: np.ndarray, layout: str) -> bool:
  return array.ndim == 4 and all(array.shape[layout.index(axis)] == 1 for axis in 'HW')


def find_folding(
  arrays: Mapping[str, np.ndarray], architecture: Architecture | None
) -> str:
  """Whether BatchNorm is folded into the weights: 'yes', 'perhaps' or 'no'.

  Of a network that is known to have or to lack BatchNorm it is certain.
  """
  if not origin.lacks_normalisation(arrays):
    return 'no'
  if architecture is None:
    return 'perhaps'
  return 'yes' if architecture.normalized else 'no'


def _labels(paths: Sequence[Path]) -> list[str]:
  """A name for each that no other has: a file's stem, a folder's name, and a number."""
  labels: list[str] = []
  for path in paths:
    name = path.name if path.is_dir() else path.stem
    label, number = name, 2
    while label in labels:
      label, number = f'{name}-{number}', number + 1
    labels.append(label)
  return labels
