"""Whether the strided layers of networks are less symmetric than the others, and lean.

Source: Alsallakh et al., "On symmetries in convolutional weights", section 3, Fig. 4: a
strided layer that reads padding on one side only has a skewed mean kernel.
"""

import collections
import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symjax.statistics import TTest, paired_t_test, rank_test

Layer = Mapping[str, Any]


def lean(layer: Layer) -> float | None:
  """How far the mean kernel of a layer of `profile.json` leans to the top left (taps).

  That is the corner where explicit padding of an even map is seen by a strided layer.
  None for a layer without a skew.
  """
  return -sum(layer['skew']) / math.sqrt(2) if layer['skew'] else None


# S of the mean kernel (1 = fully symmetric), and the lean in taps.
QUANTITIES: Mapping[str, Callable[[Layer], float | None]] = {
  'score': lambda layer: layer['score'],
  'lean': lean,
}


@dataclasses.dataclass(frozen=True)
class Contrast:
  """A quantity of the strided layers of one network against that of its others.

  Attributes:
    kernel: (h, w) in taps, of all these layers.
    counts: how many strided layers have it, and how many others.
    strided: its mean over the strided layers.
    others: its mean over the others.
    p: two-sided, of Mann and Whitney's test, each layer taken for an independent one.
  """

  kernel: tuple[int, int]
  counts: tuple[int, int]
  strided: float
  others: float
  p: float


def contrast_strided(profile: Mapping[str, Any]) -> dict[str, Contrast] | None:
  """`score` and `lean` of the strided layers of a network against its other layers.

  Of one kernel size, the commonest among the strided layers: random kernels of other
  sizes have another S, and can lean further.

  Args:
    profile: `profile.json`; layers of unknown stride are left out.

  Returns:
    quantity -> contrast; None without a strided layer, or without another one of its
    kernel size.
  """
  known = [layer for layer in profile['layers'] if layer['stride'] is not None]
  sizes = collections.Counter(
    tuple(layer['kernel']) for layer in known if layer['stride'] > 1
  )
  if not sizes:
    return None
  ((kernel, _),) = sizes.most_common(1)
  layers = [layer for layer in known if tuple(layer['kernel']) == kernel]
  found = {}
  for name, quantity in QUANTITIES.items():
    strided, others = (
      [
        value
        for layer in layers
        if (layer['stride'] > 1) == wanted and (value := quantity(layer)) is not None
      ]
      for wanted in (True, False)
    )
    if not strided or not others:
      return None
    found[name] = Contrast(
      kernel=kernel,
      counts=(len(strided), len(others)),
      strided=statistics.fmean(strided),
      others=statistics.fmean(others),
      p=rank_test(strided, others),
    )
  return found


def compare_over_networks(
  contrasts: Sequence[Mapping[str, Contrast]],
) -> dict[str, TTest]:
  """Whether strided layers differ from the others in networks of one kind.

  Args:
    contrasts: [n] of independent networks, as of the seeds of a config; two or more.

  Returns:
    quantity -> paired t test over networks, strided minus others.

  Raises:
    UserError: fewer than two networks.
  """
  return {
    name: paired_t_test(
      [one[name].strided for one in contrasts], [one[name].others for one in contrasts]
    )
    for name in QUANTITIES
  }


def contrast_line(contrasts: Mapping[str, Contrast]) -> str:
  """What a person reads of one network."""
  score, leaning = contrasts['score'], contrasts['lean']
  strided, others = score.counts
  size = 'x'.join(map(str, score.kernel))
  return (
    f'strided {size} layers against the others ({strided} and {others}): '
    f'S {score.strided:.3f} and {score.others:.3f}, p = {score.p:.2g}; '
    f'lean to the top left {leaning.strided:+.2f} and {leaning.others:+.2f} taps, '
    f'p = {leaning.p:.2g} (rank tests over layers)'
  )


def comparison_line(tests: Mapping[str, TTest], names: Sequence[str]) -> str:
  """What a person reads of several networks, which are named."""
  score, leaning = tests['score'], tests['lean']
  return (
    f'strided layers minus the others, over {len(names)} networks '
    f'({", ".join(names)}): '
    f'S {_difference(score, "+.3f", "")}; lean to the top left '
    f'{_difference(leaning, "+.2f", " taps")} (paired t tests)'
  )


def _difference(test: TTest, form: str, unit: str) -> str:
  low, high = (format(end, form) for end in test.interval)
  mean = format(test.mean_difference, form)
  return f'{mean}{unit} (95% interval {low} to {high}), p = {test.p:.2g}'
