"""Two processes that differ, fail or die: both end, with a line each."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import jax
import pytest

from symjax.errors import UserError
from symjax.experiments.same_start import require_agreement
from symjax.training.agreement import gather_text, together
from symjax.training.peers import watched

ROOT = pathlib.Path(__file__).parent.parent
PROGRAM = """
import os, signal, sys, time
from symjax.errors import UserError
from symjax.experiments.same_start import require_agreement
from symjax.training.agreement import gather_text, together
from symjax.training.devices import join_processes
from symjax.training.peers import watched

how, port, index = sys.argv[1], sys.argv[2], int(sys.argv[3])
join_processes(f'127.0.0.1:{port}', 2, index)
try:
  with watched():
    print('gathered', gather_text('é' * (3 * index + 1)))
    config = {'seed': 0, 'model': {'padding': ('zero', 'reflect')[index]}}
    origin = {'commit': 'abc'[: index + 2], 'versions': {'jax': '1.2'}}
    try:
      require_agreement(config, None, origin)
    except UserError as error:
      print('differs:', error)
    try:
      with together():
        if index == 1:
          open('/none/such')
    except (OSError, UserError) as error:
      print('together:', error)
    if index == 0:
      time.sleep(60)
    if how == 'die':
      os.kill(os.getpid(), signal.SIGKILL)
    raise UserError('a mistake of process 1')
except UserError as error:
  print(f'error: {error}', file=sys.stderr)
  sys.exit(2)
"""


def run_two(how):
  """(exit status, stdout, stderr) of each, and the seconds that both took."""
  with socket.socket() as listener:
    listener.bind(('127.0.0.1', 0))
    port = listener.getsockname()[1]
  began = time.monotonic()
  processes = [
    subprocess.Popen(
      [sys.executable, '-c', PROGRAM, how, str(port), str(index)],
      cwd=ROOT,
      env=os.environ | {'JAX_NUM_CPU_DEVICES': '1', 'PYTHONIOENCODING': 'utf-8'},
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for index in range(2)
  ]
  try:
    said = [process.communicate(timeout=50) for process in processes]
  finally:
    for process in processes:
      process.kill()
  ends = [(p.returncode, *texts) for p, texts in zip(processes, said, strict=True)]
  return ends, time.monotonic() - began


def test_a_process_that_dies_ends_the_other_with_a_line():
  ends, seconds = run_two('die')
  assert ends[1][0] == -signal.SIGKILL
  assert ends[0][0] == 2
  assert ends[0][2] == (
    'error: process 1 has died; start all again, to go on from a checkpoint\n'
  )
  assert seconds < 50  # Process 0 would sleep for 60.
  for _, output, _ in ends[:1]:
    assert "gathered ['é', 'éééé']" in output
    assert (
      'differs: process 1 has model.padding=reflect (process 0: zero), commit=abc '
      '(process 0: ab); start every process with the same command' in output
    )
    assert 'together: process 1 stopped: /none/such: No such file' in output


def test_a_process_that_stops_early_ends_the_other_with_a_line():
  ends, _ = run_two('fail')
  assert [status for status, _, _ in ends] == [2, 2]
  assert ends[1][2] == 'error: a mistake of process 1\n'
  assert ends[0][2] == ('error: process 1 stopped early; its own line says why\n')
  # What each said of the differences before is the same.
  lines = [[x for x in o.splitlines() if x.startswith('differs')] for _, o, _ in ends]
  assert lines[0] == lines[1] and len(lines[0]) == 1


def test_a_process_alone_agrees_with_itself():
  assert jax.process_count() == 1
  assert gather_text('word') == ['word']
  require_agreement({'seed': 0}, None, {'commit': None, 'versions': {}})
  with pytest.raises(UserError, match='mistake'), watched(), together():
    raise UserError('mistake')
  with pytest.raises(OSError, match='none'), together():
    open('/none')
