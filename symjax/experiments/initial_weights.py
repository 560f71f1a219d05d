"""The weights that a run starts from, and the record of them in its workdir."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

from symjax import checkpoints, records
from symjax.errors import UserError
from symjax.experiments.setup import Setup
from symjax.experiments.workdir import Workdir


class InitialWeights(NamedTuple):
  """Weights for the first step.

  Attributes:
    variables: of the network.
    record: `file` (its name), `sha256`, and names of layers: `reinitialised` are those
      that have another number of outputs than in the file, `fresh` those that a file
      of a classifier has no counterpart of, and both start as without it; `unused` are
      the layers of such a file that are not taken.
  """

  variables: Mapping[str, Any]
  record: Mapping[str, Any]

  def describe(self) -> str:
    """In one line, for the log."""
    text = f'starts from {self.record["file"]}'
    for key, meaning in (
      ('reinitialised', 're-initialised for another number of outputs'),
      ('unused', 'not taken from it'),
      ('fresh', 'not in it, so fresh'),
    ):
      if layers := self.record[key]:
        text += f'; {meaning}: {", ".join(layers)}'
    return text


def require_same_start(folder: Workdir, path: str | None) -> None:
  """Checks that a run goes on from the weights that it started from.

  A run that has a checkpoint needs the file no more.

  Args:
    folder: of the run; a free one takes any weights.
    path: of the weights; None are none.

  Raises:
    UserError: the run started from other weights, or from none; or it has not started
      yet, and its weights are not given.
  """
  if not folder.config.exists():
    return
  if not folder.start.exists():
    if path is not None:
      raise UserError(
        f'{folder.path} holds a run that did not start from --init_weights; choose '
        'another --workdir'
      )
    return
  started = records.read_object(folder.start, 'file', 'sha256')
  if path is None:
    if not folder.has_checkpoint():
      raise UserError(
        f'{folder.path} holds a run that starts from {started["file"]} and has no '
        'checkpoint yet; give --init_weights'
      )
    return
  file = Path(path)
  same = file.name == started['file']
  if file.exists():
    same = digest(file) == started['sha256']
  if not same:
    raise UserError(
      f'{folder.path} holds a run that started from {started["file"]} (sha256 '
      f'{started["sha256"][:12]}...), not from {path}; choose another --workdir'
    )


def load_initial_weights(
  folder: Workdir, setup: Setup, path: str | None
) -> InitialWeights | None:
  """The weights that a run is to start from; None if it does not, or has started.

  Args:
    folder: of the run.
    setup: of the run.
    path: as `symjax.checkpoints.read` takes it; None is the network's own start.

  Raises:
    UserError: the file cannot be read, or is of another network.
  """
  if path is None or folder.has_checkpoint():
    return None
  start = checkpoints.start_from(
    setup.model,
    path,
    setup.image_shape,
    lambda: jax.device_get(jax.jit(setup.create_state)().variables),
  )
  file = Path(path)
  record = {
    'file': file.name,
    'sha256': digest(file),
    'reinitialised': list(start.resized),
    'fresh': list(start.fresh),
    'unused': list(start.unused),
  }
  return InitialWeights(start.variables, record)


def digest(path: Path) -> str:
  """The sha256 of a file; of a workdir, that of its arrays' names and bytes."""
  if not path.is_dir():
    with open(path, 'rb') as file:
      return hashlib.file_digest(file, 'sha256').hexdigest()
  total = hashlib.sha256()
  for name, array in checkpoints.read(path).items():
    total.update(f'{name} {array.dtype} {array.shape}'.encode())
    total.update(array.tobytes())
  return total.hexdigest()
