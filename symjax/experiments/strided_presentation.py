"""What a person sees of strided layers: a line, a figure, and a record of several."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symjax import figures, records
from symjax.experiments.strided import (
  Contrast,
  compare_over_networks,
  comparison_line,
  contrast_line,
  contrast_strided,
)

_FIGURE = 'kernel_skews.png'
_CAPTION = (
  '{}: skew of the mean kernel of every layer, the centroid of its absolute weights '
  'about its centre.'
)


def present_strided(
  profile: Mapping[str, Any], folder: Path, name: str, source: str
) -> None:
  """Compares the strided layers of a network with its others, if it has both.

  Args:
    profile: as in `profile.json`.
    folder: of the figures; made if need be.
    name: of the network, for the legend.
    source: of the weights, the first words of the caption.
  """
  path = folder / _FIGURE
  path.unlink(missing_ok=True)  # Of another network, of an earlier call.
  contrasts = contrast_strided(profile)
  if contrasts:
    print(contrast_line(contrasts))
    figures.kernel_skews({name: profile}, path, _CAPTION.format(source))


def present_strided_together(
  profiles: Mapping[str, Mapping[str, Any]],
  sources: Mapping[str, str],
  out: Path,
  folder: Path,
) -> None:
  """What the strided layers of several networks have in common, if two have some.

  A network that is given twice, as in two formats, is one network.

  Args:
    profiles: as in `profile.json`, by the network's label.
    sources: of the weights, by the same labels, for the caption.
    out: folder of `strided.json`, which exists.
    folder: of the figures; made if need be.
  """
  record, path = out / 'strided.json', folder / _FIGURE
  record.unlink(missing_ok=True)  # Of other networks, of an earlier call.
  path.unlink(missing_ok=True)
  contrasts: dict[str, dict[str, Contrast]] = {}
  for label, profile in profiles.items():
    contrast = contrast_strided(profile)
    if contrast is not None and contrast not in contrasts.values():
      contrasts[label] = contrast
  if len(contrasts) < 2:
    return
  tests = compare_over_networks(list(contrasts.values()))
  print(comparison_line(tests, list(contrasts)))
  records.write_json(
    record,
    {
      'networks': {
        label: {name: dataclasses.asdict(one) for name, one in contrast.items()}
        for label, contrast in contrasts.items()
      },
      'tests': {
        name: {
          'networks': test.counts[0],
          'mean_difference': test.mean_difference,
          'interval': test.interval,
          'p': test.p,
        }
        for name, test in tests.items()
      },
    },
  )
  figures.kernel_skews(
    {label: profiles[label] for label in contrasts},
    path,
    _CAPTION.format('; '.join(sources[label] for label in contrasts)),
  )
