"""Which layer of a network breaks which symmetry, on test images."""

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from symjax import figures, records
from symjax.errors import UserError
from symjax.experiments.setup import Setup
from symjax.experiments.subject import Subject
from symjax.experiments.workdir import Workdir
from symjax.nn import Symmetry, equivariance_reports, total_stride
from symjax.symmetry import PLANE_GROUPS, transform_features
from symjax.symmetry.d4 import TRANSFORMS
from symjax.symmetry.transformations import (
  circular_translation,
  cropped_translation,
  dihedral,
  filled_translation,
)

IMAGES = 32
TOLERANCE = 1e-4
# Of D4, those that give a rectangle the same sides.
_KEEP_SIDES = ('r2', 's', 'sr2')


def report_equivariance(subject: Subject, out: str | Path) -> dict[str, Any]:
  """Measures a network: writes `equivariance.json` and its figure.

  Args:
    subject: the network.
    out: folder to write to, made if need be.

  Returns:
    What `equivariance.json` holds: `model`, `data`, `seed`, `step`, `images`,
    `tolerance`, and what `measure` returns.
  """
  images = subject.images(IMAGES)
  found = measure(subject.setup, subject.variables, images)
  config = subject.config
  record = {
    'model': config['model']['name'],
    'data': config['data']['name'],
    'seed': config['seed'],
    'step': subject.step,
    'images': len(images),
    'tolerance': TOLERANCE,
    **found,
  }
  target = Workdir(Path(out))
  target.path.mkdir(parents=True, exist_ok=True)
  records.write_json(target.equivariance, record)
  figures.equivariance_errors(
    found,
    target.figures / 'equivariance.png',
    f'{subject.name}: relative equivariance error behind every layer, on '
    f'{record["images"]} test images. A frame marks the first layer that breaks a '
    'symmetry; grey means that it has no counterpart on that map.',
  )
  return record


def measure(setup: Setup, variables: Any, images: jax.Array) -> dict[str, Any]:
  """The equivariance error behind every layer, under every symmetry of images.

  Those are the elements of D4 (three of them on rectangles), and translations down and
  right by the network's total stride, or by half the image if that is less: circular
  ones, and ones of a window on a scene that goes on as the image's edge does
  (`filled_translation`), compared where both windows see the same.

  Args:
    setup: of the network.
    variables: of the network.
    images: [batch, height, width, channels], normalised.

  Returns:
    `breaks`: symmetry -> the first layer whose error is above the tolerance, or None;
    `layers`: one for each call of a layer, in the order they finish, with `name`,
    `output_shape` of one image, and `errors`: symmetry -> relative error, None where
    the symmetry has no counterpart on the map, such as a shift by half a pixel.
  """
  size = (images.shape[1], images.shape[2])
  moves = symmetries(size, total_stride(setup.layers))
  with jax.default_matmul_precision('highest'):
    reports = equivariance_reports(
      setup.model, variables, images, moves, TOLERANCE, train=False
    )
  breaks = {
    name: next((row.name for row in report if row.breaks), None)
    for name, report in reports.items()
  }
  layers = [
    {
      'name': rows[0].name,
      'output_shape': list(rows[0].output_shape),
      'errors': {
        name: row.error if math.isfinite(row.error) else None
        for name, row in zip(reports, rows, strict=True)
      },
    }
    for rows in zip(*reports.values(), strict=True)
  ]
  return {'breaks': breaks, 'layers': layers}


def symmetries(size: tuple[int, int], stride: tuple[int, int]) -> dict[str, Symmetry]:
  """What images of `size` are put to, by name.

  Args:
    size: [height, width].
    stride: of the whole network, (vertical, horizontal).
  """
  elements = TRANSFORMS if size[0] == size[1] else _KEEP_SIDES
  found = {e: Symmetry(functools.partial(_move, e)) for e in elements}
  down, right = (s if s < n else n // 2 for s, n in zip(stride, size, strict=True))
  shift = (down, right)
  found[f'circular {down},{right}'] = Symmetry(circular_translation(shift, size))
  found[f'crop {down},{right}'] = Symmetry(
    filled_translation(shift, size), cropped_translation(shift, size)
  )
  return found


def _move(element: str, x: jax.Array) -> jax.Array:
  """An element of D4 on a map, and on the orientations of one on a group."""
  if x.ndim < 5:
    return dihedral(element)(x)
  group = next(name for name, g in PLANE_GROUPS.items() if len(g) == x.shape[3])
  if element not in PLANE_GROUPS[group]:
    raise UserError(f'{element} is not in {group}: it has no counterpart on the map')
  return transform_features(x, element, group)


def equivariance_table(found: Mapping[str, Any]) -> str:
  """A row per layer and a column per symmetry, as plain text.

  An asterisk marks the layer that breaks a symmetry first, '-' a map on which it has
  no counterpart.

  Args:
    found: what `measure` returns.
  """
  breaks = found['breaks']
  lines = [['layer', 'output', *breaks]]
  marked: set[str] = set()
  for layer in found['layers']:
    line = [layer['name'], 'x'.join(map(str, layer['output_shape']))]
    for name, error in layer['errors'].items():
      text = (
        '-' if error is None else f'{error:.0e}' if error < 0.01 else f'{error:.2f}'
      )
      first = breaks[name] == layer['name'] and name not in marked
      marked |= {name} if first else set()
      line.append(text + ('*' if first else ' '))
    lines.append(line)
  widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
  return '\n'.join(
    ' '.join(
      text.ljust(width) if i == 0 else text.rjust(width)
      for i, (text, width) in enumerate(zip(line, widths, strict=True))
    ).rstrip()
    for line in lines
  )


def verdict(found: Mapping[str, Any]) -> str:
  """Which layer breaks which symmetries, in one line."""
  by_layer: dict[str | None, list[str]] = {}
  for name, layer in found['breaks'].items():
    by_layer.setdefault(layer, []).append(name)
  kept = by_layer.pop(None, [])
  parts = [f'{layer} breaks {", ".join(names)}' for layer, names in by_layer.items()]
  if kept:
    parts.append(f'nothing breaks {", ".join(kept)}')
  return '; '.join(parts)
