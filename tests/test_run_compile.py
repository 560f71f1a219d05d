"""`run.compile` as a user meets it."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent


def test_a_slice_that_does_not_exist_is_one_line_and_exit_status_2(tmp_path):
  config, out = '--config=configs/svhn_vgg.py:cpu', tmp_path / 'out'
  done = subprocess.run(
    [sys.executable, '-m', 'run.compile', config, '--topology=v5e:3x3', f'--out={out}'],
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == 2 and done.stdout == '' and not out.exists()
  [line] = done.stderr.splitlines()
  assert line.startswith('error: --topology=v5e:3x3: there is no such slice of v5e')
