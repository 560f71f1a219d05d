"""The processes of a run watch each other, so that none waits for one that has gone.

JAX notices by itself too, but late, and then aborts without a word to a person.
"""

import atexit
import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator

import jax
from jax._src.distributed import global_state  # Nothing public has the address.

from symjax.errors import UserError
from symjax.training.agreement import gather_text

BEAT_SECONDS = 5.0
SILENCE_SECONDS = 30.0  # A machine that lost its power closes no connection.
_GRACE_SECONDS = 3.0  # For a process to print a line of its own.
_BEAT, _DONE, _FAILED = b'.', b'd', b'f'
_USER_ERROR = 2


@contextlib.contextmanager
def watched() -> Iterator[None]:
  """Ends this process, with a line and status 2, once another one ends early.

  A process that is killed is noticed at once, a machine that is lost after
  `SILENCE_SECONDS`. Every process of a run enters after `devices.join_processes`;
  process 0 watches all, the others watch process 0. One process alone watches nobody.
  """
  if jax.process_count() == 1:
    yield
    return
  peers = _Peers()
  try:
    yield
  except BaseException as error:
    peers.fail(_USER_ERROR if isinstance(error, OSError | UserError) else 1)
    raise
  peers.finish()


class _Peers:
  """Connections to the other processes, each with a thread that listens to it."""

  def __init__(self) -> None:
    self._ending = threading.Event()
    self._connections = _connect()
    self._listeners = [
      threading.Thread(target=self._listen, args=pair, daemon=True)
      for pair in self._connections.items()
    ]
    for listener in self._listeners:
      listener.start()
    threading.Thread(target=self._beat, daemon=True).start()

  def finish(self) -> None:
    """Says that this process is done, and waits until process 0 is as well."""
    self._tell(_DONE)
    if jax.process_index() > 0:
      self._listeners[0].join()
    self._ending.set()

  def fail(self, status: int) -> None:
    """Says that this process ends early; it does at its exit, with that status."""
    self._ending.set()
    self._tell(_FAILED)
    atexit.register(self._leave, status)

  def _leave(self, status: int) -> None:
    """Ends without JAX's barrier, at which those that wait elsewhere never arrive."""
    deadline = time.monotonic() + 2 * _GRACE_SECONDS
    if jax.process_index() == 0:  # JAX aborts processes that survive process 0.
      while any(map(_is_open, self._connections.values())):
        if time.monotonic() > deadline:
          break
        time.sleep(0.05)
    _end(status)

  def _tell(self, message: bytes) -> None:
    for connection in self._connections.values():
      with contextlib.suppress(OSError):
        connection.sendall(message)

  def _beat(self) -> None:
    while not self._ending.wait(BEAT_SECONDS):
      self._tell(_BEAT)

  def _listen(self, index: int, connection: socket.socket) -> None:
    """Waits for the end of another process, and acts on it."""
    while True:
      try:
        message = connection.recv(1)
      except OSError:  # Silence, or a broken connection.
        message = b''
      if message == _DONE:
        return
      if message != _BEAT:
        break
    if message == _FAILED:  # This process may be about to fail for the same reason.
      self._tell(_FAILED)
      what = f'process {index} stopped early; its own line says why'
      self._ending.wait(_GRACE_SECONDS)
    else:
      what = f'process {index} has died; start all again, to go on from a checkpoint'
    if not self._ending.is_set():
      self._tell(_FAILED)
      print(f'error: {what}', file=sys.stderr)
      _end(_USER_ERROR)


def _connect() -> dict[int, socket.socket]:
  """Process 0 to all others, the others to process 0: index -> connection.

  Raises:
    UserError: no connection comes about within `SILENCE_SECONDS`.
  """
  if jax.process_index() > 0:
    port = int(gather_text('')[0])
    host = str(global_state.coordinator_address).rpartition(':')[0].strip('[]')
    try:
      connection = socket.create_connection((host, port), timeout=SILENCE_SECONDS)
    except OSError as error:
      raise UserError(
        f'process {jax.process_index()} cannot reach process 0 at {host}:{port} '
        f'({error.strerror or error}); open the ports between their machines'
      ) from error
    connection.sendall(jax.process_index().to_bytes(4))
    return {0: connection}
  with socket.create_server(('', 0), backlog=jax.process_count()) as server:
    server.settimeout(SILENCE_SECONDS)
    gather_text(str(server.getsockname()[1]))
    connections = {}
    for count in range(1, jax.process_count()):
      try:
        connection, _ = server.accept()
      except TimeoutError as error:
        raise UserError(
          f'{jax.process_count() - count} processes cannot reach process 0; open the '
          'ports between their machines'
        ) from error
      connection.settimeout(SILENCE_SECONDS)
      connections[int.from_bytes(connection.recv(4, socket.MSG_WAITALL))] = connection
    return connections


def _is_open(connection: socket.socket) -> bool:
  """Whether the process at the other end still runs."""
  try:
    connection.setblocking(False)
    return connection.recv(4096) != b''
  except BlockingIOError:
    return True
  except OSError:
    return False


def _end(status: int) -> None:
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(status)
