"""Kills a training at random times, again and again, and looks at what is left."""

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from symjax import records
from symjax.checkpoints import find_damaged, saved_steps
from symjax.errors import UserError
from symjax.experiments.workdir import Workdir

GRACE_SECONDS = 30.0  # What a preemptible machine is given after SIGTERM.
_PNG_END = b'IEND\xaeB`\x82'  # The last chunk: its name and its checksum.
_ENDS = {
  'SIGKILL': (-signal.SIGKILL,),
  'SIGTERM': (0, -signal.SIGTERM),  # The latter before there is anything to save.
  'damage': (-signal.SIGKILL,),
}


@dataclasses.dataclass
class _Tally:
  """What happened so far, and what was wrong; as in `soak.json`."""

  events: Counter[str] = dataclasses.field(default_factory=Counter)
  phases: Counter[str] = dataclasses.field(default_factory=Counter)
  finished: int = 0
  fallbacks: int = 0
  slowest_stop: float = 0.0
  problems: list[str] = dataclasses.field(default_factory=list)

  @property
  def kills(self) -> int:
    return self.events.total()


def soak(
  command: Sequence[str], folder: str | Path, kills: int, seconds: float, seed: int
) -> dict[str, Any]:
  """Trains once in peace, then over and over with a kill at a random time.

  An event is SIGKILL, SIGTERM, or SIGKILL and then half a file of the newest
  checkpoint lost. After each, every finished file of the workdir is read. A training
  that was killed is started again; one that ends is compared with the peaceful one,
  bit for bit, optimiser and all, and the next begins anew.

  Args:
    command: that trains; `--workdir=...` is put behind it.
    folder: of the trainings and of `soak.json`; it must be empty.
    kills: after which to stop.
    seconds: after which to stop, if that is earlier.
    seed: of the events and their times. How far a training is then is the machine's.

  Returns:
    What `soak.json` holds: `kills`, `events` and `phases` (how often which),
    `finished` (trainings), `fallbacks` (to the checkpoint before a damaged one),
    `slowest_stop` (seconds after SIGTERM), `seconds`, and `problems`, in words.

  Raises:
    UserError: the folder is not empty, or the training fails in peace.
  """
  folder = Path(folder)
  if folder.exists() and any(folder.iterdir()):
    raise UserError(f'{folder} is not empty; choose another --workdir')
  folder.mkdir(parents=True, exist_ok=True)
  began = time.monotonic()
  peaceful = Workdir(folder / 'peaceful')
  status, error = _finish(_start(command, peaceful))
  if status:
    raise UserError(f'the training fails even in peace: {error}')
  life = time.monotonic() - began

  tally, draws = _Tally(), random.Random(seed)
  training = _Training(command, Workdir(folder / 'disturbed-0'), tally)
  while tally.kills < kills and time.monotonic() - began < seconds:
    # So that most lives end by a kill, but some by themselves, at whatever load.
    if not training.run(draws, life):
      life *= 1.1
    else:
      life *= 0.8
      _compare(training.workdir, peaceful, tally)
      following = Workdir(folder / f'disturbed-{tally.finished}')
      training = _Training(command, following, tally)
  training.run(draws, None)
  _compare(training.workdir, peaceful, tally)
  record = {
    'command': list(command),
    'seed': seed,
    'kills': tally.kills,
    **vars(tally),
    'seconds': time.monotonic() - began,
  }
  records.write_json(folder / 'soak.json', record)
  return record


def describe(record: dict[str, Any]) -> str:
  """A record of `soak` in two lines, and one for each problem."""

  def counts(name: str) -> str:
    return ', '.join(f'{key} {count}' for key, count in record[name].items())

  lines = [
    f'{record["kills"]} kills ({counts("events")}; while {counts("phases")}) in '
    f'{record["seconds"]:.0f} s',
    f'{record["finished"]} trainings finished, {record["fallbacks"]} fell back to an '
    f'earlier checkpoint; the slowest stop took {record["slowest_stop"]:.1f} s; '
    f'{len(record["problems"]) or "no"} problems',
  ]
  return '\n'.join(lines + record['problems'])


def find_problems(folder: Path, kills: int = 0) -> Iterator[str]:
  """Each finished file of a workdir that cannot be read, in words.

  Args:
    folder: the workdir; it need not exist.
    kills: that it has seen; each may have torn one line of the log.
  """
  workdir = Workdir(folder)
  for path in sorted(folder.glob('*.json')):
    try:
      records.read_json(path)
    except UserError as error:
      yield str(error)
  for path in sorted(folder.rglob('*.png')):
    if not _is_image(path):
      yield f'{path} is no whole image'
  torn = sum(not _is_json(line) for line in _lines(workdir.metrics.path))
  if torn > kills:
    yield f'{workdir.metrics.path} has {torn} torn lines after {kills} kills'
  for step, why in find_damaged(workdir.checkpoints).items():
    yield f'{workdir.checkpoints / str(step)} cannot be restored ({why})'


class _Training:
  """One training, started as often as it is killed."""

  def __init__(self, command: Sequence[str], workdir: Workdir, tally: _Tally) -> None:
    self.workdir = workdir
    self._command = command
    self._tally = tally
    self._kills = 0
    self._hurt: Path | None = None  # The checkpoint that was damaged last.

  def run(self, draws: random.Random, life: float | None) -> bool:
    """Goes on, until the end or an event at a random time within `life` seconds.

    Returns:
      Whether it came to the end.
    """
    event = draws.choice(list(_ENDS))
    patience = None if life is None else draws.uniform(0, life)
    rows = len(_lines(self.workdir.metrics.path))
    process = _start(self._command, self.workdir)
    ended = True
    try:
      status, error = _finish(process, patience)
    except subprocess.TimeoutExpired:
      ended = False
      status, error = self._kill(process, event)
    if self._hurt and list(self._hurt.parent.glob(f'{self._hurt.name}.damaged*')):
      self._tally.fallbacks += 1
      self._hurt = None
    if ended:
      if status:
        self._tally.problems.append(f'{self.workdir.path} ends with {status}: {error}')
      return True
    self._kills += 1
    self._tally.events[event] += 1
    self._tally.phases[_phase(self.workdir, rows)] += 1
    when = f'after kill {self._tally.kills} ({event})'
    print(f'{when}: {self._tally.finished} trainings finished', file=sys.stderr)
    if status not in _ENDS[event]:
      self._tally.problems.append(f'{when}: exit status {status}: {error}')
    for problem in find_problems(self.workdir.path, self._kills):
      if not self._hurt or not problem.startswith(f'{self._hurt} '):
        self._tally.problems.append(f'{when}: {problem}')
    if event == 'damage' and not self._hurt:
      self._damage(draws)
    return False

  def _kill(self, process: subprocess.Popen[str], event: str) -> tuple[int, str]:
    began = time.monotonic()
    process.send_signal(signal.SIGTERM if event == 'SIGTERM' else signal.SIGKILL)
    try:
      status, error = _finish(process, GRACE_SECONDS)
    except subprocess.TimeoutExpired:
      process.kill()
      return _finish(process)
    if event == 'SIGTERM':
      seconds = time.monotonic() - began
      self._tally.slowest_stop = max(self._tally.slowest_stop, seconds)
    return status, error

  def _damage(self, draws: random.Random) -> None:
    """Cuts short, empties or removes a file of the newest checkpoint, of several."""
    checkpoints = self.workdir.checkpoints
    steps = saved_steps(checkpoints)
    if len(steps) < 2 or self.workdir.summary.exists():
      return
    self._hurt = checkpoints / str(steps[-1])
    before = _newest_state(self.workdir)
    arrays = (self._hurt / 'state').rglob('d/*')
    names = ('state/manifest.ocdbt', 'state/_METADATA', 'progress/metadata')
    files = [max(arrays, key=lambda path: path.stat().st_size)]
    files += [self._hurt / name for name in names]
    file, left = draws.choice(files), draws.choice((0.5, 0.0, None))
    if left is None:
      file.unlink()
    else:
      os.truncate(file, int(left * file.stat().st_size))
    # Only a later training with a checkpoint of this step tells this one's fate.
    for earlier in checkpoints.glob(f'{steps[-1]}.damaged*'):
      shutil.rmtree(earlier)
    if steps[-1] not in find_damaged(checkpoints):
      # Some files of a checkpoint are drafts of others, and nothing is read from them.
      self._hurt = None
      if not _is_same(_newest_state(self.workdir), before):
        self._tally.problems.append(f'{file} is damaged, and nobody notices')


def _start(command: Sequence[str], workdir: Workdir) -> subprocess.Popen[str]:
  return subprocess.Popen(
    [*command, f'--workdir={workdir.path}'],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
  )


def _finish(
  process: subprocess.Popen[str], patience: float | None = None
) -> tuple[int, str]:
  """Its exit status, and the last line that it said.

  Raises:
    subprocess.TimeoutExpired: it still runs after so many seconds.
  """
  _, errors = process.communicate(timeout=patience)
  return process.returncode, (errors.strip().splitlines() or ['no word'])[-1]


def _phase(workdir: Workdir, rows: int) -> str:
  """What a training that had so many lines in its log did when it was killed."""
  if workdir.profile.exists():
    return 'writing'
  return 'training' if len(_lines(workdir.metrics.path)) > rows else 'starting'


def _compare(one: Workdir, other: Workdir, tally: _Tally) -> None:
  """Counts a finished training, whose last state should be the other's."""
  tally.finished += 1
  states = []
  for workdir in (one, other):
    try:
      states.append(_newest_state(workdir))
    except UserError as error:
      tally.problems.append(str(error))
      return
  if not one.summary.exists():
    tally.problems.append(f'{one.path} has no {one.summary.name}')
  if not _is_same(*states):
    tally.problems.append(f'{one.path} ends in another state than {other.path}')


def _newest_state(workdir: Workdir) -> Any:
  """The arrays of the newest checkpoint.

  Raises:
    UserError: there is none, or it is damaged.
  """
  with workdir.newest_checkpoint() as (store, step):
    return store.restore_arrays(step)


def _is_same(one: Any, other: Any) -> bool:
  try:
    return jax.tree.all(jax.tree.map(np.array_equal, one, other))
  except ValueError:  # Other names.
    return False


def _lines(path: Path) -> list[bytes]:
  return path.read_bytes().splitlines() if path.exists() else []


def _is_image(path: Path) -> bool:
  """Whether a PNG file can be decoded, to its last chunk."""
  try:
    with Image.open(path) as image:
      image.load()
  except (OSError, SyntaxError):
    return False
  return path.read_bytes().endswith(_PNG_END)


def _is_json(line: bytes) -> bool:
  try:
    json.loads(line)
  except ValueError:
    return False
  return True
