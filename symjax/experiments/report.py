"""The symmetry profile as a table of plain text, printed at the end of training."""

from collections.abc import Mapping, Sequence
from typing import Any

COLUMNS = (
  'layer',
  'kernel',
  'stride',
  'score',
  'random',
  'z',
  'individual',
  'skew y, x',
  'mark',
)
TEXT = {'layer', 'mark'}  # Set to the left; numbers are set to the right.


def profile_table(
  profile: Mapping[str, Any], downsampling: Mapping[str, str] | None = None
) -> str:
  """A row per layer, and last the means over layers; `-` stands for null.

  The columns: name (with an asterisk where strided), kernel size, stride, score, mean
  and standard deviation over random kernels of that size, z against these, mean and
  standard deviation over the layer's single kernels, skew in taps (positive down and
  right), and the layer's mark. Names of up to 30 characters fit in 100 columns.

  Args:
    profile: `profile.json`; reads `mean_score` and `layers`, and of each every key but
      `group`, `distances` and `mean_kernel`.
    downsampling: marks ('at', 'near') of layers by name; other layers get none.

  Raises:
    KeyError: a key is missing from the profile.
  """
  marks = downsampling or {}
  rows = [_row(layer, marks.get(layer['name'], '')) for layer in profile['layers']]
  mean = dict.fromkeys(COLUMNS, '') | {
    'layer': 'mean',
    'score': _number(profile['mean_score'], '.3f'),
    'random': _mean(profile['layers'], 'random_mean'),
    'individual': _mean(profile['layers'], 'individual_mean'),
  }
  lines = [dict(zip(COLUMNS, COLUMNS, strict=True)), *rows, mean]
  widths = {name: max(len(line[name]) for line in lines) for name in COLUMNS}
  return '\n'.join(
    ' '.join(
      line[name].ljust(widths[name]) if name in TEXT else line[name].rjust(widths[name])
      for name in COLUMNS
    ).rstrip()
    for line in lines
  )


def _row(layer: Mapping[str, Any], mark: str) -> dict[str, str]:
  height, width = layer['kernel']
  stride, skew = layer['stride'], layer['skew']
  strided = stride is not None and stride > 1
  return {
    'layer': layer['name'] + '*' * strided,
    'kernel': f'{height}x{width}',
    'stride': _number(stride, 'd'),
    'score': _number(layer['score'], '.3f'),
    'random': _spread(layer, 'random'),
    'z': _number(layer['z'], '.1f'),
    'individual': _spread(layer, 'individual'),
    'skew y, x': '-' if skew is None else f'{skew[0]:+.2f}, {skew[1]:+.2f}',
    'mark': mark,
  }


def _number(value: float | None, form: str) -> str:
  return '-' if value is None else format(value, form)


def _spread(layer: Mapping[str, Any], name: str) -> str:
  mean, std = layer[f'{name}_mean'], layer[f'{name}_std']
  return '-' if mean is None else f'{mean:.2f}±{_number(std, ".2f")}'


def _mean(layers: Sequence[Mapping[str, Any]], key: str) -> str:
  known = [layer[key] for layer in layers if layer[key] is not None]
  return _number(sum(known) / len(known) if known else None, '.2f')
