"""Weights that a training starts from, which need not be all that the network has."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from symjax.checkpoints import names
from symjax.checkpoints.formats import read
from symjax.checkpoints.load import Match, match_arrays


class Start(NamedTuple):
  """A network's variables, most of them from a file.

  Attributes:
    variables: `params` and, if there is BatchNorm, `batch_stats`: numpy arrays of the
      types that the model has.
    resized: layers that the file has with another number of outputs; not taken from
      it.
    fresh: layers of the network beside its body, where the file is of the body alone.
    unused: layers of such a file that the body lacks: the classifier.
  """

  variables: dict[str, Any]
  resized: tuple[str, ...]
  fresh: tuple[str, ...]
  unused: tuple[str, ...]


def start_from(
  model: Any,
  path: str | Path,
  input_shape: Sequence[int],
  create: Callable[[], Mapping[str, Any]],
) -> Start:
  """As `load_into`, but heads may be others than the file's, and keep their start.

  Those are layers whose outputs (and nothing else) number other than in the file. And
  a network that is built on a classifier, whose name in it is the attribute `body`,
  starts from the weights of such a classifier: of the file all but dense layers is
  taken, and in the network all but the body keeps its start.

  Args:
    model: as in `load_into`.
    path: as in `read`.
    input_shape: [height, width, channels] of one image.
    create: makes the variables of the model at its start.

  Raises:
    UserError: the file cannot be read, or has other arrays than the model.
  """
  arrays = read(path)
  match = match_arrays(model, path, arrays, input_shape, _part(model, arrays))
  resized, unused = _heads(match), _classifiers(match, arrays) if match.part else set()
  for name in [name for name in match.resized if _layer(name) in resized]:
    del match.resized[name]
  match.extra = [name for name in match.extra if _layer(name) not in unused]
  match.require()

  found = match.found
  if resized or match.part:
    start = {k: np.asarray(v) for k, v in names.name_leaves(create()).items()}
    found = {name: found.get(name, own) for name, own in start.items()}
  fresh = {_layer(name) for name in found.keys() - set(match.order)}
  return Start(names.nest_leaves(found), *map(_titles, (resized, fresh, unused)))


def _part(model: Any, arrays: Mapping[str, np.ndarray]) -> str:
  """The part of a model that a file is of: its body, or all of it, ''."""
  body = getattr(model, 'body', '')
  whole = any(names.comparable(name).startswith(f'{body}_') for name in arrays)
  return '' if whole else body


def _heads(match: Match) -> set[str]:
  """Layers of the model that differ from the file's in the number of outputs alone."""
  return {
    _layer(name)
    for name, (theirs, ours) in match.resized.items()
    if len(theirs) == len(ours) >= 2 and theirs[:-1] == ours[:-1]
  }


def _classifiers(match: Match, arrays: Mapping[str, np.ndarray]) -> set[str]:
  """Dense layers of the file that the model lacks."""
  return {_layer(name) for name in match.extra if arrays[name].ndim == 2}


def _layer(name: str) -> str:
  """The layer of an array, of the model or of the file."""
  return re.sub(r'[./][^./]+$', '', name)


def _titles(layers: Iterable[str]) -> tuple[str, ...]:
  """Layers without the collection that their arrays are in."""
  return tuple(sorted({re.sub('^(params|batch_stats)/', '', name) for name in layers}))
