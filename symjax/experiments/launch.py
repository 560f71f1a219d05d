"""One command that starts every process of a training, wherever they are to run."""

import contextlib
import dataclasses
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import IO

from symjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Launch:
  """One process to start from here.

  Attributes:
    arguments: of the process, the program first.
    environment: variables that it has beside those of this process.
  """

  arguments: tuple[str, ...]
  environment: Mapping[str, str] = dataclasses.field(default_factory=dict)

  def __str__(self) -> str:
    """As one would type it."""
    variables = [
      f'{name}={shlex.quote(value)}' for name, value in self.environment.items()
    ]
    return ' '.join([*variables, shlex.join(self.arguments)])


def local(
  program: Sequence[str], processes: int, devices: int, port: int
) -> list[Launch]:
  """Processes on the CPU of this machine, whatever else it has.

  Args:
    program: module under `python -m` and its flags.
    processes: how many.
    devices: that each makes of the CPU.
    port: of this machine, where they meet.
  """
  environment = {'JAX_PLATFORMS': 'cpu', 'JAX_NUM_CPU_DEVICES': str(devices)}
  return [
    Launch(
      (sys.executable, '-m', *program, *_meeting('127.0.0.1', port, processes, index)),
      environment,
    )
    for index in range(processes)
  ]


def hosts(
  program: Sequence[str], names: Sequence[str], port: int, folder: str, python: str
) -> list[Launch]:
  """One process on each of several machines, by ssh; they meet at the first.

  Args:
    program: as for `local`.
    names: of the machines, as ssh and they themselves know them.
    port: of the first, which the others must reach.
    folder: of the project on each.
    python: there, as seen from that folder.
  """
  first = names[0].rpartition('@')[2]
  return [
    Launch(
      (
        'ssh',
        '-tt',  # So that what runs there ends with the connection.
        name,
        _there(
          folder,
          (python, '-m', *program, *_meeting(first, port, len(names), index)),
        ),
      )
    )
    for index, name in enumerate(names)
  ]


def slurm(program: Sequence[str], options: Sequence[str], python: str) -> list[Launch]:
  """A process for each task of a SLURM step; JAX finds the others by itself.

  It gives a task the GPU that has the task's number on its node, and no other.

  Args:
    program: as for `local`.
    options: of srun, such as '--nodes=4', '--ntasks-per-node=8', '--gres=gpu:8'.
    python: on the nodes, as seen from this folder, which they share.
  """
  return [Launch(('srun', '--kill-on-bad-exit=1', *options, python, '-m', *program))]


def tpu(
  program: Sequence[str], name: str, zone: str, folder: str, python: str
) -> list[Launch]:
  """The same command on every worker of a TPU slice; JAX finds the others by itself.

  What runs there does not end with gcloud. To stop it, have SIGTERM sent there.

  Args:
    program: as for `local`.
    name: of the TPU VM.
    zone: where it is.
    folder: of the project on each worker.
    python: there, as seen from that folder.
  """
  ssh = ('gcloud', 'compute', 'tpus', 'tpu-vm', 'ssh', name)
  command = _there(folder, (python, '-m', *program))
  return [Launch((*ssh, f'--zone={zone}', '--worker=all', f'--command={command}'))]


def free_port() -> int:
  """A port of this machine that nobody listens at."""
  with socket.socket() as listener:
    listener.bind(('127.0.0.1', 0))
    return listener.getsockname()[1]


def start(launches: Sequence[Launch]) -> int:
  """Starts processes and waits for all.

  What the first one writes appears as it is; what the others write, on stderr and with
  their number before it: they speak only of what went wrong. SIGTERM, SIGINT and SIGHUP
  are SIGTERM to every process, which a training takes as a word to save and stop. An
  ssh closes its connection then, which says the same to what it started.

  Returns:
    The exit status of the first that did not end with 0, by number; else 0.

  Raises:
    UserError: a program cannot be started.
  """
  processes: list[subprocess.Popen[str]] = []
  signalled = threading.Event()

  def hand_on(number: int, frame: FrameType | None) -> None:
    del number, frame
    signalled.set()
    for process in processes:
      process.terminate()

  with contextlib.ExitStack() as stack:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
      stack.callback(signal.signal, number, signal.signal(number, hand_on))
    try:
      for index, launch in enumerate(launches):
        process = stack.enter_context(_start(launch, alone=index == 0))
        processes.append(process)
        if signalled.is_set():  # It came before this one was known.
          process.terminate()
        if process.stdout is not None:
          speaker = threading.Thread(target=_repeat, args=(index, process.stdout))
          speaker.start()
          stack.callback(speaker.join)
      statuses = [process.wait() for process in processes]
    except BaseException:
      for process in processes:
        process.terminate()
      raise
  # A shell counts the signals that end processes from 128 on.
  return next((s if s > 0 else 128 - s for s in statuses if s), 0)


def _start(launch: Launch, alone: bool) -> 'subprocess.Popen[str]':
  try:
    return subprocess.Popen(
      launch.arguments,
      env=os.environ | launch.environment,
      # A terminal is for one process: an ssh would take its keys, and Ctrl-C with them.
      stdin=subprocess.DEVNULL,
      stdout=None if alone else subprocess.PIPE,
      stderr=None if alone else subprocess.STDOUT,
      text=True,
      errors='replace',
      start_new_session=True,  # So that Ctrl-C comes once, through `start`.
    )
  except OSError as error:
    raise UserError(
      f'{launch.arguments[0]} cannot be started here ({error.strerror}): is it '
      'installed, and on the PATH?'
    ) from None


def _repeat(index: int, stream: IO[str]) -> None:
  for line in stream:
    print(f'process {index}: {line}', end='', file=sys.stderr, flush=True)


def _meeting(host: str, port: int, count: int, index: int) -> tuple[str, ...]:
  return (
    f'--coordinator_address={host}:{port}',
    f'--num_processes={count}',
    f'--process_id={index}',
  )


def _there(folder: str, arguments: Sequence[str]) -> str:
  """A command line for a shell on another machine."""
  # A quoted ~ would not be a home on that machine.
  home, slash, rest = (
    folder.partition('/') if folder.startswith('~') else ('', '', folder)
  )
  place = f'{home}{slash}{shlex.quote(rest) if rest else ""}'
  return f'cd {place} && {shlex.join(arguments)}'
