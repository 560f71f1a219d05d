"""How a network reads images of one size: its strides, and its foveation map."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symjax import figures, records
from symjax.errors import UserError
from symjax.experiments.setup import make_model
from symjax.experiments.workdir import Workdir
from symjax.nn import LayerAudit, audit, foveation, smallest_image

_CLASSES = 10  # No window depends on how many logits there are.


def audit_config(
  config: Mapping[str, Any], size: tuple[int, int], out: str | Path
) -> dict[str, Any]:
  """Audits the network of a config: writes `audit.json` and `figures/foveation.png`.

  Neither data nor weights are needed: the arithmetic is that of the architecture.

  Args:
    config: plain values, with the groups of `configs/base.py`.
    size: [height, width] of the images.
    out: folder to write to, made if need be.

  Returns:
    What `audit.json` holds: `model`, `padding`, `widths`, `downsampling`, `size`,
    `even`, `even_sizes`: nearest `height` and `width` of images at which no layer is
    uneven; `layers`: those with strides; and `foveation`, as `summarise` has it.

  Raises:
    UserError: a config that makes no network, or images too small for it.
  """
  # Counted in float32 at least, whatever the network computes in.
  group = {**config['model'], 'dtype': 'float32'}
  model = make_model(group, _CLASSES)
  shape = (*size, len(config['data']['mean']))
  try:
    found = audit(model, shape, train=False)
  except UserError as error:
    side = smallest_image(model, shape[-1], train=False)
    if side is None or side <= min(size):
      raise
    raise UserError(
      f'--size={_words(size)} is too small for this network: {error} (--size={side} is '
      'the smallest)'
    ) from None
  reads = foveation(model, shape, train=False)
  record = {
    'model': group['name'],
    **{key: group[key] for key in ('padding', 'widths', 'downsampling')},
    'size': list(size),
    'even': not found.uneven,
    'even_sizes': _sizes(found.even_sizes),
    'layers': [_row(layer) for layer in found.layers],
    'foveation': summarise(reads),
  }
  target = Workdir(Path(out))
  target.path.mkdir(parents=True, exist_ok=True)
  records.write_json(target.audit, record)
  figures.foveation_map(
    reads,
    target.figures / 'foveation.png',
    f'{group["name"]}, {group["padding"]} padding, downsampling by '
    f'{group["downsampling"]}, {_words(size)} pixels: how often a network whose '
    'weights are all the same reads each pixel, in units of the mean. Right: '
    'means of rows and of columns, counted from the first and from the last; in an '
    'even network the two coincide.',
  )
  return record


def size_of_run(workdir: str | Path) -> tuple[dict[str, Any], tuple[int, int]]:
  """The config of a run, and [height, width] of the images that it trains on.

  Raises:
    UserError: the folder holds no run, or one of a network without windows.
  """
  folder = Workdir(Path(workdir))
  config = folder.read_config()
  layers = records.read_object(folder.layers, 'layers')['layers']
  if not layers:
    raise UserError(f'the network of {workdir} has no windows to audit')
  height, width, _ = layers[0]['input_shape']
  return config, (height, width)


def summarise(reads: np.ndarray) -> dict[str, Any]:
  """A foveation map in numbers.

  Args:
    reads: [height, width], of mean 1.

  Returns:
    `smallest` and `largest`; `rows` and `columns`: the means over each; and
    `mirror_distance`: the share of all reading that has to move to make the map its
    own mirror image, `up_down` and `left_right`; 0 is even, 1 the most there can be.
  """
  wide = reads.astype(float)
  return {
    'smallest': wide.min(),
    'largest': wide.max(),
    'mirror_distance': {
      'up_down': float(np.abs(wide - wide[::-1]).mean() / 2),
      'left_right': float(np.abs(wide - wide[:, ::-1]).mean() / 2),
    },
    'rows': wide.mean(axis=1).tolist(),
    'columns': wide.mean(axis=0).tolist(),
  }


def audit_table(record: Mapping[str, Any]) -> str:
  """A row per strided layer, as plain text.

  Border and slack are in pixels, (top, bottom, left, right) and (bottom, right); what
  is dropped in rows and columns; an asterisk marks uneven layers.

  Args:
    record: what `audit_config` returns.
  """
  lines = [('layer', 'window', 'map', 'slack', 'border read', 'dropped', 'even at')]
  for row in record['layers']:
    lines.append(
      (
        row['name'] + ('' if row['even'] else ' *'),
        f'{_words(row["kernel"])}/{_words(row["stride"])}',
        _words(row['input_size']),
        _list(row['slack']),
        _list(row['border_read'].values()),
        _list(row['dropped']),
        sizes_in_words(row['even_sizes']),
      )
    )
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  return '\n'.join(
    '  '.join(
      text.ljust(width) for text, width in zip(line, widths, strict=True)
    ).rstrip()
    for line in lines
  )


def audit_verdict(record: Mapping[str, Any]) -> str:
  """How many layers are uneven, and at which sizes none is, in one line."""
  size, layers = _words(record['size']), record['layers']
  if not layers:
    return f'{record["model"]} at {size}: no layer has strides'
  uneven = sum(not row['even'] for row in layers)
  if not uneven:
    return f'{record["model"]} at {size}: even in all {len(layers)} strided layers'
  line = f'{record["model"]} at {size}: uneven in {uneven} of {len(layers)} layers'
  known = record['even_sizes']
  nearest = sizes_in_words(known)
  line += f'; in none at {nearest}' if known['height'] else '; no size is even in all'
  if record['downsampling'] == 'balanced':
    line += '; training draws anew which end keeps the slack'
  return line


def sizes_in_words(sizes: Mapping[str, Sequence[int]]) -> str:
  """Even sizes of images; heights before widths where they differ."""
  height, width = (
    ' or '.join(map(str, sizes[side])) or 'none' for side in ('height', 'width')
  )
  return height if height == width else f'{height} x {width}'


def _row(found: LayerAudit) -> dict[str, Any]:
  layer, (vertical, horizontal) = found.layer, found.border_read
  return {
    'name': layer.name,
    'kind': layer.kind,
    'kernel': list(layer.window.kernel),
    'stride': list(layer.window.stride),
    'padding': [list(side) for side in layer.window.widths],
    'input_size': list(layer.input_shape[:2]),
    'output_size': list(layer.output_shape[:2]),
    'slack': list(found.slack),
    'border_read': dict(
      zip(('top', 'bottom', 'left', 'right'), (*vertical, *horizontal), strict=True)
    ),
    'dropped': list(found.dropped),
    'even': all(found.even),
    'even_sizes': _sizes(found.even_sizes),
  }


def _sizes(pair: Sequence[Sequence[int]]) -> dict[str, list[int]]:
  return {'height': list(pair[0]), 'width': list(pair[1])}


def _words(pair: Sequence[int]) -> str:
  return str(pair[0]) if pair[0] == pair[1] else f'{pair[0]}x{pair[1]}'


def _list(numbers: Any) -> str:
  return ', '.join(map(str, numbers))
