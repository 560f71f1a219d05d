"""Notices that the machine is about to be taken away, or that a person had enough."""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Self

import jax
from jax.experimental import multihost_utils


class Interrupted(BaseException):
  """A signal came within `Preemption.interruptible`.

  No `Exception`, as no KeyboardInterrupt is: it can come anywhere, also within what
  catches all of those.
  """


class Preemption:
  """Whether SIGTERM or SIGINT has asked this run to stop; a context manager.

  Among several processes a signal to any of them stops all, at the same step: JAX's
  coordination service passes the word, of SIGTERM, which the others become. A process
  alone takes over the signals itself, for as long as the context lasts; a second SIGINT
  (Ctrl-C) is not waited for. SIGHUP, by which a closed connection ends what was started
  through it, counts as well, unless it is ignored (nohup).
  """

  def __init__(self) -> None:
    self._alone = jax.process_count() == 1
    self._requested = False
    self._interruptible = False

  def __enter__(self) -> Self:
    numbers = [signal.SIGINT, signal.SIGHUP]
    if self._alone:
      numbers.append(signal.SIGTERM)
    handler = self._request if self._alone else _terminate
    self._previous = {
      number: signal.signal(number, handler)
      for number in numbers
      if signal.getsignal(number) != signal.SIG_IGN
    }
    return self

  def __exit__(self, *error: object) -> None:
    for number, handler in self._previous.items():
      signal.signal(number, handler)

  def requested(self, step: int) -> bool:
    """Whether to save and stop after `step`; ask at every step."""
    if self._alone:
      return self._requested
    return multihost_utils.reached_preemption_sync_point(step)

  @contextlib.contextmanager
  def interruptible(self) -> Iterator[None]:
    """What changes nothing and may take longer than the machine is left to us.

    Of several processes none can break off alone: the others would wait for it.

    Raises:
      Interrupted: in the middle of it, or at once if a signal has come before.
    """
    if self._requested:
      raise Interrupted
    self._interruptible = True
    try:
      yield
    finally:
      self._interruptible = False

  def _request(self, number: int, frame: FrameType | None) -> None:
    del frame
    if self._requested and number == signal.SIGINT:
      raise KeyboardInterrupt
    self._requested = True
    if self._interruptible:
      self._interruptible = False  # Nor does a second signal break off what follows.
      raise Interrupted


def _terminate(number: int, frame: FrameType | None) -> None:
  """Turns a signal into the one that JAX tells all processes of."""
  del number, frame
  os.kill(os.getpid(), signal.SIGTERM)
