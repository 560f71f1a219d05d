"""What runs are compared by beside their test metric: symmetry, skew, consistency."""

import dataclasses
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

from symjax.errors import UserError
from symjax.experiments.results import Group
from symjax.experiments.strided import lean

Layer = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Measure:
  """A number about a network's profile.

  Attributes:
    words: what it is.
    of: a layer of `profile.json` -> its number; None where it has none.
    strided: of the strided layers, of the others, or (None) of all.
  """

  words: str
  of: Callable[[Layer], float | None]
  strided: bool | None = None

  def __call__(self, layers: Iterable[Layer], strided: Set[str]) -> float | None:
    """The mean over the layers that it is about; None where there is no such layer."""
    about = [
      layer
      for layer in layers
      if self.strided is None or self.strided == (layer['name'] in strided)
    ]
    known = [value for value in map(self.of, about) if value is not None]
    return statistics.fmean(known) if known else None


def _skew_length(layer: Layer) -> float | None:
  return math.hypot(*layer['skew']) if layer['skew'] else None


_SKEW = 'skew of the mean kernels of {} layers toward the top left (taps)'

# Of profiles; consistencies come from `evaluation.json` by their own names.
MEASURES: Mapping[str, Measure] = {
  'mean_symmetry': Measure('S of mean kernels', lambda layer: layer['score']),
  'individual_symmetry': Measure(
    'S of single kernels', lambda layer: layer['individual_mean']
  ),
  'strided_symmetry': Measure(
    'S of the mean kernels of strided layers', lambda layer: layer['score'], True
  ),
  'unstrided_symmetry': Measure(
    'S of the mean kernels of unstrided layers', lambda layer: layer['score'], False
  ),
  'strided_skew': Measure(_SKEW.format('strided'), lean, True),
  'unstrided_skew': Measure(_SKEW.format('unstrided'), lean, False),
  'strided_skew_length': Measure(
    'length of the skew of strided layers (taps)', _skew_length, True
  ),
}


def words(name: str) -> str:
  """What a test metric, a measure or a consistency is called in tables and figures."""
  return MEASURES[name].words if name in MEASURES else name.replace('_', ' ')


def require_of_profiles(names: Sequence[str]) -> None:
  """Checks that training alone gives these measures.

  Raises:
    UserError: one that it does not.
  """
  for name in names:
    if name not in MEASURES:
      raise UserError(
        f'no run has {name!r} after training: choose from {", ".join(MEASURES)}, and '
        'for consistencies run.evaluate the runs and compare them with --workdirs'
      )


def strided_layers(groups: Iterable[Group]) -> set[str]:
  """The names of the layers that have a stride in any of the runs.

  A remedy may take the stride out of a layer, which is then still to be compared.
  """
  return {
    layer['name']
    for group in groups
    for profile in group.profiles
    for layer in profile['layers']
    if (layer['stride'] or 1) > 1
  }


def measured_runs(
  group: Group, names: Sequence[str], strided: Set[str]
) -> dict[int, dict[str, Any]]:
  """Seed -> what `summary.json` holds, and the measures asked for by name.

  Args:
    group: runs that differ in nothing but the seed.
    names: of `MEASURES`, or of consistencies, such as 'horizontal_flip'.
    strided: of `strided_layers`, for all runs that are compared.

  Raises:
    UserError: a measure that a run does not have.
  """
  runs = zip(group.summaries, group.profiles, group.evaluations, strict=True)
  return {
    summary['seed']: summary
    | {
      name: _profiled(name, summary['name'], profile, strided)
      if name in MEASURES
      else _evaluated(name, summary['name'], evaluation)
      for name in names
    }
    for summary, profile, evaluation in runs
  }


def _profiled(
  name: str, run: str, profile: Mapping[str, Any], strided: Set[str]
) -> float:
  value = MEASURES[name](profile['layers'], strided)
  if value is None:
    raise UserError(f'{run} has no {name}: none of its layers has such a number')
  return value


def _evaluated(name: str, run: str, evaluation: Mapping[str, Any] | None) -> float:
  if evaluation is None:
    raise UserError(
      f'{run} has no {name!r}: it is none of {", ".join(MEASURES)}, and for '
      'consistencies python -m run.evaluate --workdir=... comes first'
    )
  known = evaluation['consistency']
  if name not in known:
    raise UserError(f'{run} has no {name!r}; it has {", ".join((*MEASURES, *known))}')
  return known[name]['mean']
