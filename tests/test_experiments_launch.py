"""Starting many processes with one command."""

import os
import shlex
import signal
import subprocess
import sys
import threading

import pytest

from symjax.errors import UserError
from symjax.experiments import launch
from symjax.experiments.launch import Launch

PROGRAM = ('run.train', '--config=configs/digits_vgg.py', '--workdir=/a folder')


def script(text, **environment):
  return Launch((sys.executable, '-c', text), environment)


def test_processes_of_this_machine_meet_at_a_port():
  found = launch.local(PROGRAM, 3, 2, 1234)
  assert [one.arguments[-1] for one in found] == [f'--process_id={i}' for i in range(3)]
  for one in found:
    assert one.arguments[:5] == (sys.executable, '-m', *PROGRAM)
    assert one.arguments[5:7] == (
      '--coordinator_address=127.0.0.1:1234',
      '--num_processes=3',
    )
    assert one.environment == {'JAX_NUM_CPU_DEVICES': '2'}
  assert not launch.local(PROGRAM, 1, None, 1234)[0].environment


def remote_arguments(line):
  """Folder and arguments that a shell makes of a line."""
  shown = 'printf "%s\\n" "$PWD" "$@"'
  folder, command = line.split(' && ')
  assert folder.startswith('cd ')
  made = subprocess.run(
    ['sh', '-c', f'set -- {command}; {shown}'],
    capture_output=True,
    text=True,
    check=True,
  )
  return folder.removeprefix('cd '), made.stdout.splitlines()[1:]


def test_hosts_meet_at_the_first_and_keep_arguments_whole():
  found = launch.hosts(PROGRAM, ['me@one', 'two'], 99, '~/a b', 'bin/python')
  assert [one.arguments[:3] for one in found] == [
    ('ssh', '-tt', 'me@one'),
    ('ssh', '-tt', 'two'),
  ]
  for index, one in enumerate(found):
    folder, arguments = remote_arguments(one.arguments[3])
    place = subprocess.check_output(['sh', '-c', f'printf %s {folder}'], text=True)
    assert place == os.path.expanduser('~/a b')
    assert arguments == [
      'bin/python',
      '-m',
      *PROGRAM,
      '--coordinator_address=one:99',
      '--num_processes=2',
      f'--process_id={index}',
    ]


def test_slurm_and_tpu_are_one_command_each():
  [one] = launch.slurm(PROGRAM, 4, 'bin/python')
  assert one.arguments[:2] == ('srun', '--nodes=4')
  assert one.arguments[-5:] == ('bin/python', '-m', *PROGRAM)
  [one] = launch.tpu(PROGRAM, 'pod', 'zone-a', '/x', 'bin/python')
  assert '--worker=all' in one.arguments and '--zone=zone-a' in one.arguments
  line = one.arguments[-1].removeprefix('--command=')
  assert remote_arguments(line) == ('/x', ['bin/python', '-m', *PROGRAM])


def test_what_is_shown_can_be_typed():
  one = script('import os, sys; print(os.environ["A"]); sys.exit(3)', A='b')
  typed = subprocess.run(['sh', '-c', str(one)], capture_output=True, text=True)
  assert (typed.returncode, typed.stdout) == (3, 'b\n')
  assert shlex.split(str(one))[0] == 'A=b'


@pytest.mark.parametrize(
  ('ends', 'status'),
  [
    ((0, 0), 0),
    ((0, 2), 2),
    ((2, 1), 2),
    ((-signal.SIGKILL, 0), 128 + signal.SIGKILL),
  ],
)
def test_the_status_is_that_of_the_first_that_failed(ends, status):
  def ending(code):
    if code < 0:
      return script(f'import os; os.kill(os.getpid(), {-code})')
    return script(f'raise SystemExit({code})')

  assert launch.start([ending(code) for code in ends]) == status


def test_errors_of_the_others_carry_their_number(capfd):
  speak = script('import sys; print("one"); print("two", file=sys.stderr)')
  assert launch.start([speak, speak]) == 0
  out, err = capfd.readouterr()
  assert out == 'one\none\n'
  assert sorted(err.splitlines()) == ['process 1: two', 'two']


def test_signals_reach_every_process(capfd):
  wait = script(
    'import signal, sys\n'
    'signal.signal(signal.SIGTERM, lambda *a: sys.exit(7))\n'
    'print("ready", flush=True)\n'
    'signal.pause()'
  )
  timer = threading.Timer(2.0, os.kill, (os.getpid(), signal.SIGTERM))
  timer.start()
  before = signal.getsignal(signal.SIGTERM)
  assert launch.start([wait, wait]) == 7
  assert signal.getsignal(signal.SIGTERM) is before
  assert capfd.readouterr().out == 'ready\nready\n'


def test_a_program_that_is_not_there_is_one_line_and_ends_the_others():
  first = script('import time; time.sleep(60)')
  with pytest.raises(UserError, match='no-such-srun is not installed here'):
    launch.start([first, Launch(('no-such-srun',))])


@pytest.mark.parametrize(
  ('flags', 'reason'),
  [
    (['tpu', '--name=n', '--', 'run.train'], 'give --zone'),
    (['moon', '--', 'run.train'], "'moon' is no place; choose from hosts"),
  ],
)
def test_mistakes_are_one_line(flags, reason):
  ended = subprocess.run(
    [sys.executable, '-m', 'run.launch', *flags], capture_output=True, text=True
  )
  assert ended.returncode == 2 and reason in ended.stderr
  assert len(ended.stderr.splitlines()) == 1
