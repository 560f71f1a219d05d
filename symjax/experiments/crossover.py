"""From which kernel size the FFT convolves faster than the direct sum."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from symjax import figures, records
from symjax.experiments.benchmark.calibration import (
  compile_pass,
  draw_arguments,
  shortest_time,
)
from symjax.experiments.provenance import provenance
from symjax.nn.conv.problem import Problem
from symjax.nn.window import Window
from symjax.progress import progress

# What the chapter says of the kernel size beyond which the FFT is faster.
CLAIMS = (
  {'source': 'exercise 3, 14.11', 'claim': 'k > log2(n)', 'kernel': None},
  {'source': '14.10, on GPUs', 'claim': '11 to 15', 'kernel': [11, 15]},
  {'source': '14.3.1', 'claim': 'k > ~15', 'kernel': [15, 15]},
)
_DIRECT, _FFT = 'xla', 'fft'
_LIMIT = 2e10  # Multiplications of the direct sum: what takes longer is left out.


@dataclasses.dataclass(frozen=True)
class Setting:
  """What stays the same while the kernel grows.

  Attributes:
    dimensions: 1, a signal, or 2, an image.
    size: samples or pixels on a side.
    channels: of the input and of the output.
    batch: signals or images.
  """

  dimensions: int
  size: int
  channels: int
  batch: int


SETTINGS = (
  *(
    Setting(2, size, channels, batch)
    for channels, batch in ((1, 1), (8, 1), (8, 16), (64, 1))
    for size in (16, 32, 64, 128, 256)
  ),
  *(
    Setting(1, size, channels, batch)
    for channels, batch in ((1, 1), (8, 1), (8, 16))
    for size in (256, 1024, 4096, 16384, 65536)
  ),
)
KERNELS = {
  1: (3, 7, 15, 31, 63, 127, 255, 511, 1023, 2047),
  2: (3, 5, 7, 9, 11, 15, 21, 31, 45, 63),
}


def crossover(
  out: Path,
  settings: Sequence[Setting] = SETTINGS,
  kernels: Mapping[int, Sequence[int]] = KERNELS,
) -> dict[str, Any]:
  """Times both algorithms while the kernel grows, and writes what it found.

  The forward pass in float32 with a border that keeps the size, odd kernels, equal
  channels in and out. A setting ends when the FFT has been faster at two kernel sizes
  in a row, or the kernel reaches the size of the image.

  Args:
    out: folder for `crossover.json` and `figures/crossover.png`.
    settings: to go through.
    kernels: dimensions -> kernel sizes to try, in order.

  Returns:
    What `crossover.json` holds: `points`, with the times; `crossovers`, with `kernel`
    where the FFT became faster, on a logarithmic scale between the last size at which
    it was not and the next; 0 where it always was, null where it never was; `claims` of
    the chapter; and the provenance.
  """
  out.mkdir(parents=True, exist_ok=True)  # Now, and not after minutes of timing.
  points, found = [], []
  for setting in progress(settings, 'timing direct and FFT'):
    measured = list(_measure(setting, kernels[setting.dimensions]))
    points += measured
    found.append(dataclasses.asdict(setting) | {'kernel': _crossing(measured)})
  record = {
    'points': points,
    'crossovers': found,
    'claims': list(CLAIMS),
    **provenance(),
  }
  records.write_json(out / 'crossover.json', record)
  figures.crossovers(
    found,
    out / 'figures' / 'crossover.png',
    'Kernel size from which the FFT convolves faster than the direct sum: forward, '
    f'float32, channels in = out, {record["hardware"]}, jax '
    f'{record["versions"]["jax"]}, commit {record["commit"]}. Open markers at the top: '
    'never, up to the largest kernel tried; at the bottom: always.',
  )
  return record


def crossover_table(record: dict[str, Any]) -> list[list[str]]:
  """The crossovers: a row for channels and batch, a column for a size."""
  rows: dict[tuple[int, int, int], dict[int, str]] = {}
  for row in record['crossovers']:
    kernel = row['kernel']
    text = 'never' if kernel is None else f'{kernel:.0f}' if kernel else 'always'
    key = row['dimensions'], row['channels'], row['batch']
    rows.setdefault(key, {})[row['size']] = text
  table = []
  for dimensions in sorted({key[0] for key in rows}, reverse=True):
    chosen = {key: sizes for key, sizes in rows.items() if key[0] == dimensions}
    sizes = sorted({size for columns in chosen.values() for size in columns})
    table.append([f'{dimensions}-D, n =', *map(str, sizes)])
    for (_, channels, batch), columns in chosen.items():
      label = f'{channels} channel{"s" * (channels > 1)}, batch {batch}'
      table.append([label, *(columns.get(size, '') for size in sizes)])
  return table


def _measure(setting: Setting, kernels: Sequence[int]) -> Iterator[dict[str, Any]]:
  """The times, kernel by kernel, until the FFT has won twice."""
  wins = 0
  for kernel in kernels:
    problem = _problem(setting, kernel)
    if kernel > setting.size or problem.multiplications > _LIMIT or wins == 2:
      return
    arguments = draw_arguments(problem, 'forward')
    direct, fft = (
      shortest_time(compile_pass(problem, 'forward', algorithm, arguments), math.inf)
      for algorithm in (_DIRECT, _FFT)
    )
    wins = wins + 1 if fft < direct else 0
    yield dataclasses.asdict(setting) | {
      'kernel': kernel,
      'direct_seconds': direct,
      'fft_seconds': fft,
    }


def _problem(setting: Setting, taps: int) -> Problem:
  margin = (taps // 2, taps // 2)
  if setting.dimensions == 1:
    window = Window((1, taps), widths=((0, 0), margin))
    size = (1, setting.size)
  else:
    window = Window((taps, taps), widths=(margin, margin))
    size = (setting.size, setting.size)
  return Problem(setting.batch, size, setting.channels, setting.channels, window)


def _crossing(points: Sequence[dict[str, Any]]) -> float | None:
  """Where the logarithm of the ratio of the times is zero, after its last loss."""
  gains = [math.log(p['direct_seconds'] / p['fft_seconds']) for p in points]
  losses = [index for index, gain in enumerate(gains) if gain <= 0]
  if not losses:
    return 0.0 if points else None
  last = losses[-1]
  if last + 1 == len(points):
    return None
  low, high = (math.log(points[i]['kernel']) for i in (last, last + 1))
  share = gains[last] / (gains[last] - gains[last + 1])
  return math.exp(low + share * (high - low))
