"""What a person sees of a run at its end: a table and figures."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symjax import figures, symmetry
from symjax.experiments.report import profile_table
from symjax.experiments.strided_presentation import present_strided
from symjax.nn import Layer, downsampling_marks


def layer_records(layers: Sequence[Layer]) -> dict[str, Any]:
  """What `layers.json` holds: the layer table, and the marks of its convolutions."""
  return {
    'layers': [dataclasses.asdict(layer) for layer in layers],
    'strides': {
      layer.name: max(layer.window.stride) for layer in layers if layer.kind == 'conv'
    },
    'downsampling': downsampling_marks(layers),
  }


def measure(
  params: Any, strides: Mapping[str, int]
) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
  """What `profile.json` holds, and the shapes of the kernels for its figures.

  Both are empty for a network without convolutions.

  Args:
    params: of the network.
    strides: of every convolution, by name.
  """
  if not strides:
    return symmetry.SymmetryProfile(()).to_json(), {}
  profile = symmetry.profile(params, strides=strides).to_json()
  return profile, kernel_shapes(symmetry.convolutions(params))


def kernel_shapes(
  kernels: Mapping[str, Any], layout: str = 'HWIO'
) -> dict[str, tuple[int, ...]]:
  """(N, C, H, W) of kernels by layer name, as document A titles them."""
  axes = [layout.index(axis) for axis in 'OIHW']
  return {
    name: tuple(kernel.shape[axis] for axis in axes) for name, kernel in kernels.items()
  }


def present(
  profile: Mapping[str, Any],
  shapes: Mapping[str, Sequence[int]],
  downsampling: Mapping[str, str],
  rows: Sequence[Mapping[str, Any]],
  folder: Path,
  name: str,
  run: str,
) -> None:
  """Prints the table of layers, if there are any, and draws a run's figures.

  Args:
    profile: as in `profile.json`.
    shapes: (N, C, H, W) of every layer.
    downsampling: 'at' or 'near' for layers at and near a loss of resolution.
    rows: of `metrics.jsonl`.
    folder: of the figures; made if need be.
    name: of the network, for the legend.
    run: which run it is, the first words of every caption.
  """
  present_profile(profile, shapes, downsampling, folder, name, run)
  figures.symmetry_over_training(
    _history(rows, profile),
    folder / 'symmetry_over_training.png',
    f'{run}: symmetry of the mean kernel of every layer during training.',
  )
  figures.training_curves(
    rows, folder / 'training_curves.png', f'{run}: training curves.'
  )


def present_profile(
  profile: Mapping[str, Any],
  shapes: Mapping[str, Sequence[int]],
  downsampling: Mapping[str, str],
  folder: Path,
  name: str,
  source: str,
) -> None:
  """Prints the table of layers, and draws the figures that weights alone give.

  Where there are strided layers and others, they are compared in a line and a figure.

  Args:
    profile: as in `profile.json`.
    shapes: (N, C, H, W) of every layer.
    downsampling: 'at' or 'near' for layers at and near a loss of resolution.
    folder: of the figures; made if need be.
    name: of the network, for the legend.
    source: of the weights, the first words of every caption.
  """
  if profile['layers']:
    print(profile_table(profile, downsampling))
  present_strided(profile, folder, name, source)
  folder.mkdir(parents=True, exist_ok=True)
  figures.mean_kernels(
    profile,
    folder / 'mean_kernels.png',
    f'{source}: mean kernel of every layer over its inputs and outputs, with its '
    'symmetry S (1 = fully symmetric).',
    shapes,
  )
  figures.symmetry_profile(
    {name: profile},
    folder / 'symmetry_profile.png',
    f'{source}: symmetry of the mean kernel of every layer, beside that of its '
    'single kernels and of random ones.',
    downsampling,
  )


def _history(
  rows: Sequence[Mapping[str, Any]], profile: Mapping[str, Any]
) -> list[dict[str, Any]]:
  random = {layer['name']: layer['random_mean'] for layer in profile['layers']}
  return [
    {
      'step': row['step'],
      'epoch': row['epoch'],
      'mean': row['mean_symmetry'],
      'layers': {name: row['symmetry'].get(name) for name in random},
      'random': random,
    }
    for row in rows
    if 'symmetry' in row
  ]
