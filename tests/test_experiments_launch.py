"""Starting many processes with one command."""

import os
import signal
import subprocess
import sys
import threading
import time

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
    assert one.environment == {'JAX_PLATFORMS': 'cpu', 'JAX_NUM_CPU_DEVICES': '2'}


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
  [one] = launch.slurm(PROGRAM, ['--nodes=4', '--gres=gpu:8'], 'bin/python')
  assert one.arguments[:4] == (
    'srun',
    '--kill-on-bad-exit=1',
    '--nodes=4',
    '--gres=gpu:8',
  )
  assert one.arguments[-5:] == ('bin/python', '-m', *PROGRAM)
  [one] = launch.tpu(PROGRAM, 'pod', 'zone-a', '/x', 'bin/python')
  assert '--worker=all' in one.arguments and '--zone=zone-a' in one.arguments
  line = one.arguments[-1].removeprefix('--command=')
  assert remote_arguments(line) == ('/x', ['bin/python', '-m', *PROGRAM])


def test_what_is_shown_can_be_typed():
  one = script('import os, sys; print(os.environ["A"]); sys.exit(3)', A='b; c')
  typed = subprocess.run(['sh', '-c', str(one)], capture_output=True, text=True)
  assert (typed.returncode, typed.stdout) == (3, 'b; c\n')


@pytest.mark.parametrize('folder', ['~', '~/a b', '/a b', 'a'])
def test_a_home_is_that_of_the_other_machine(folder):
  line = launch.tpu(PROGRAM, 'pod', 'zone-a', folder, 'python')[0].arguments[-1]
  place, _ = remote_arguments(line.removeprefix('--command='))
  seen = subprocess.check_output(['sh', '-c', f'printf %s {place}'], text=True)
  assert seen == os.path.expanduser(folder)


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
  assert out == 'one\n'
  assert sorted(err.splitlines()) == ['process 1: one', 'process 1: two', 'two']


def test_bytes_that_are_no_text_stop_nobody(capfd):
  text = 'import sys; sys.stderr.buffer.write(bytes([255, 10]) + b"x" * 200_000)'
  assert launch.start([script(''), script(text)]) == 0
  assert capfd.readouterr().err.startswith('process 1: \ufffd\nprocess 1: xxx')


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_sigterm_to_every_process(tmp_path, number):
  def waiting(index):
    return script(
      'import pathlib, signal, sys\n'
      'signal.signal(signal.SIGTERM, lambda *a: sys.exit(7))\n'
      f'pathlib.Path({str(tmp_path / str(index))!r}).touch()\n'
      'signal.pause()'
    )

  def send_when_ready():
    while len(list(tmp_path.iterdir())) < 2:
      time.sleep(0.01)
    os.kill(os.getpid(), number)

  before = signal.getsignal(number)
  sender = threading.Thread(target=send_when_ready)
  sender.start()
  assert launch.start([waiting(0), waiting(1)]) == 7
  sender.join()
  assert signal.getsignal(number) is before


@pytest.mark.parametrize('program', ['no-such-srun', '/etc/hostname'])
def test_a_program_that_cannot_start_is_one_line_and_ends_the_others(program):
  first = script('import time; time.sleep(60)')
  began = time.monotonic()
  with pytest.raises(UserError, match=f'{program} cannot be started here'):
    launch.start([first, Launch((program,))])
  assert time.monotonic() - began < 30


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
