"""A compilation as tables of plain text."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

_GIB = 2**30


def compilation_table(record: Mapping[str, Any]) -> str:
  """What `compile.json` holds, in words.

  Args:
    record: as `compile_config` returns it.
  """
  parts = [_heading(record), _programs(record)]
  train = record['train']
  if train:
    parts += [_collectives(train['collectives'])]
    parts += [_gradients(train['collectives'], record)]
  parts.append(_largest(record))
  return '\n\n'.join(parts)


def _heading(record: Mapping[str, Any]) -> str:
  chips, batch = record['chips'], record['batch_size']
  return (
    f'{record["model"]}, {record["dtype"]}, {record["parameters"]:,} parameters, '
    f'images {"x".join(map(str, record["image_shape"]))}\n'
    f'{record["topology"]}: {chips} chips, batch {batch:,}, {batch // chips:,} a chip'
    f'{_parts(record["microbatches"])}'
  )


def _parts(microbatches: int) -> str:
  return f' in {microbatches} microbatches' if microbatches > 1 else ''


def _programs(record: Mapping[str, Any]) -> str:
  """A row per quantity, a column per step; all of one chip."""
  steps = {name: record[name] for name in ('train', 'eval')}
  memory = record['chip']['hbm_bytes']
  rows: list[tuple[str, Callable[[Mapping[str, Any]], str]]] = [
    (
      f'memory, GiB of {memory / _GIB:.2f}: peak',
      lambda step: _gib(step['memory']['peak']),
    ),
    *(
      (f'  {name}', lambda step, name=name: _gib(step['memory'][name]))
      for name in ('arguments', 'outputs', 'reused', 'temporaries', 'code')
    ),
    ('operations, TFLOP', lambda step: f'{step["flops"] / 1e12:.4f}'),
    ('bytes accessed, GB', lambda step: f'{step["bytes_accessed"] / 1e9:.3f}'),
    ('bytes sent, MB', lambda step: f'{step["bytes_sent"] / 1e6:.3f}'),
    *(
      (
        f'least time, ms: {name}',
        lambda step, name=name: f'{1e3 * step["roofline"][f"{name}_seconds"]:.3f}',
      )
      for name in ('compute', 'memory', 'interconnect')
    ),
    ('bound by', lambda step: step['roofline']['bound']),
    (
      'images a second, all chips, at most',
      lambda step: f'{step["batch_size"] / step["roofline"]["seconds"]:,.0f}',
    ),
    ('compiled in, s', lambda step: f'{step["compile_seconds"]:.0f}'),
  ]
  lines = [('of a chip', *steps)]
  for label, value in rows:
    lines.append(
      (label, *(value(step) if step else 'does not fit' for step in steps.values()))
    )
  return _aligned(lines)


def _collectives(rows: Sequence[Mapping[str, Any]]) -> str:
  columns = ('purpose', 'kind', 'dtype', 'collectives', 'arrays', 'numbers', 'bytes')
  lines: list[tuple[str, ...]] = [columns]
  for row in rows:
    lines.append(
      tuple(
        f'{row[column]:,}' if isinstance(row[column], int) else row[column]
        for column in columns
      )
    )
  return _aligned(lines)


def _gradients(rows: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> str:
  """Whether each parameter's gradient is reduced just once, in one line."""
  reduced = sum(row['numbers'] for row in rows if row['purpose'] == 'gradients')
  # Those of microbatches are added up with all others, and not in the backward pass.
  apart = record['normalization_parameters'] if record['microbatches'] == 1 else 0
  expected = record['parameters'] - apart
  outside = ' outside of BatchNorm' if apart else ''
  times = 'each once' if reduced == expected else f'{reduced / expected:.3f} times'
  return (
    f'gradients: {reduced:,} numbers reduced for {expected:,} parameters{outside}: '
    f'{times}'
  )


def _largest(record: Mapping[str, Any]) -> str:
  found = record['largest_batch']
  line = 'largest batch that was seen to fit: '
  line += f'{found["fits"]:,}, {found["fits_per_chip"]:,} a chip'
  if not found['fits']:
    line = 'no batch was seen to fit'
  if found['exceeds'] is not None:
    line += f'; {found["exceeds"]:,} does not fit'
  return f'{line} (further compilations: {found["compilations"]})'


def _gib(count: int) -> str:
  return f'{count / _GIB:.3f}'


def _aligned(lines: Sequence[Sequence[str]]) -> str:
  """Columns of text; all but the first are set to the right."""
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  return '\n'.join(
    '  '.join(
      cell.rjust(width) if place else cell.ljust(width)
      for place, (cell, width) in enumerate(zip(line, widths, strict=True))
    ).rstrip()
    for line in lines
  )
