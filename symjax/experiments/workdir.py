"""The folder of one run: one config, its records, its checkpoints."""

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from symjax import records
from symjax.checkpoints import CheckpointStore, saved_steps
from symjax.errors import UserError
from symjax.nn.conv import CostTable, read_cost_table


class Workdir:
  """The names of the files in a run's folder."""

  def __init__(self, path: Path) -> None:
    self.path = path
    self.config = path / 'config.json'
    self.layers = path / 'layers.json'
    self.costs = path / 'cost_table.json'
    self.start = path / 'init_weights.json'
    self.metrics = records.Log(path / 'metrics.jsonl')
    self.checkpoints = path / 'checkpoints'
    self.profile = path / 'profile.json'
    self.equivariance = path / 'equivariance.json'
    self.evaluation = path / 'evaluation.json'
    self.audit = path / 'audit.json'
    self.compilation = path / 'compile.json'
    self.size_sweep = path / 'size_sweep.json'
    self.figures = path / 'figures'
    self.summary = path / 'summary.json'

  def require(self, config: Mapping[str, Any]) -> None:
    """Checks that the folder is free, or this config's.

    Raises:
      UserError: it is another config's, naming what differs; or a run's that lost its
        config.
    """
    if not self.config.exists():
      if self.checkpoints.exists() or self.metrics.path.exists():
        raise UserError(
          f'{self.path} holds a run without {self.config.name}; choose '
          'another --workdir'
        )
      return
    config = json.loads(json.dumps(config))  # Tuples become lists, as on disk.
    changes = [
      f'{key}={old} (now {new})'
      for key, old, new in differences(records.read_object(self.config), config)
    ]
    if changes:
      raise UserError(
        f'{self.path} holds a run with {"; ".join(changes)}; choose another --workdir'
      )

  @contextlib.contextmanager
  def locked(self) -> Iterator[None]:
    """Makes the folder, and keeps other runs out of it.

    Raises:
      UserError: another process trains in it.
    """
    self.path.mkdir(parents=True, exist_ok=True)
    with open(self.path / '.lock', 'w') as lock:
      try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        raise UserError(f'{self.path} is being trained in by another process') from None
      yield

  def read_costs(self, config: Mapping[str, Any]) -> CostTable | None:
    """The run's own times of convolutions, if any: those with which it began.

    Raises:
      UserError: the file that the config names holds none.
    """
    path = config['model']['cost_table']
    if path is None:
      return None
    return read_cost_table(self.costs if self.costs.exists() else path)

  def claim(
    self,
    config: Mapping[str, Any],
    layers: Mapping[str, Any],
    costs: CostTable | None = None,
    start: Mapping[str, Any] | None = None,
  ) -> None:
    """Makes the folder this config's.

    Args:
      config: plain values.
      layers: the layer table, for programs that have only the folder.
      costs: by which the network chooses how to convolve, if they are its own.
      start: the weights that the run starts from, as `initial_weights` records them.
    """
    if start is not None:  # Before the config, which makes the folder a run's.
      records.write_json(self.start, start)
    if costs is not None:
      records.write_json(self.costs, costs.as_json())
    records.write_json(self.config, config)
    records.write_json(self.layers, layers)

  def read_config(self) -> dict[str, Any]:
    """The config of the run.

    To ask it for a key that it lacks is a `UserError` as well: configs have come to
    have more keys.

    Raises:
      UserError: the folder is no run's.
    """
    if not self.config.exists():
      raise UserError(f'{self.path} is no workdir of run.train: it has no config.json')
    config = records.read_object(self.config, 'model', 'data', 'seed')
    return _Group(config, self.config)

  def has_checkpoint(self) -> bool:
    """Whether the run saved a state, whole or not."""
    return bool(saved_steps(self.checkpoints))

  @contextlib.contextmanager
  def newest_checkpoint(self) -> Iterator[tuple[CheckpointStore, int]]:
    """The run's checkpoints, to be read only, and the newest one's step.

    Raises:
      UserError: there is none yet.
    """
    if not self.checkpoints.exists():
      raise UserError(f'{self.path} has no checkpoint yet; train for longer')
    store = CheckpointStore(self.checkpoints, read_only=True)
    try:
      step = store.latest_step()
      if step is None:
        raise UserError(f'{self.path} has no checkpoint yet; train for longer')
      yield store, step
    finally:
      store.close()

  def describe(self, step: int) -> str:
    """The run in words, for captions: its name, data, seed and step."""
    config = records.read_object(self.config)
    return (
      f'{self.path.name} ({config["model"]["name"]} on {config["data"]["name"]}, seed '
      f'{config["seed"]}, step {step})'
    )


class _Group(dict[str, Any]):
  """A group of a run's config, which says what is wrong where a key is missing."""

  def __init__(self, values: Mapping[str, Any], path: Path) -> None:
    super().__init__(
      {k: _Group(v, path) if isinstance(v, dict) else v for k, v in values.items()}
    )
    self._path = path

  def __missing__(self, key: str) -> Any:
    raise UserError(
      f'{self._path} has no {key!r}: an older symjax made this run; measure it with '
      'that one, or train anew in another --workdir'
    )


def differences(
  old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ''
) -> Iterator[tuple[str, Any, Any]]:
  """Each key whose value differs between two configs, dotted, with both values."""
  for key in dict.fromkeys((*old, *new)):
    before, after = old.get(key, '(absent)'), new.get(key, '(absent)')
    if isinstance(before, Mapping) and isinstance(after, Mapping):
      yield from differences(before, after, f'{prefix}{key}.')
    elif before != after:
      yield f'{prefix}{key}', before, after


def default_name(config_path: str, variant: str, overrides: Mapping[str, Any]) -> str:
  """`<config>[-variant][-hash of overrides]`, the default folder under `runs/`.

  Args:
    config_path: of the config's file.
    variant: what follows the colon.
    overrides: dotted key -> value, as given on the command line.
  """
  name = Path(config_path).stem
  if variant:
    name += f'-{variant}'
  if overrides:
    text = json.dumps(overrides, sort_keys=True)
    name += f'-{hashlib.sha256(text.encode()).hexdigest()[:8]}'
  return name
