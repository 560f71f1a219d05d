"""Start every process of a training with one command.

    python -m run.launch local --processes=2 --devices=2 -- run.train --config=...
    python -m run.launch hosts --hosts=a,b,c -- run.train --config=...
    python -m run.launch slurm --srun='--nodes=4 --gres=gpu:1' -- run.train --config=...
    python -m run.launch tpu --name=NAME --zone=ZONE -- run.train --config=...

`local` shares the CPU of this machine, for trials; `hosts` goes by ssh; `slurm` and
`tpu` leave it to srun and gcloud, and JAX finds the processes: one task for each GPU of
a node, one worker for each host of a slice. All machines need the project in `--folder`
and share a workdir and a data folder. `--dry_run` prints the commands and starts
nothing. Ctrl-C has a training save and stop, but for `tpu`, where this command does:

    gcloud compute tpus tpu-vm ssh NAME --zone=ZONE --worker=0 --command='pkill python'
"""

import shlex
import sys
from typing import Any

from absl import flags

from run import command
from symjax.errors import UserError
from symjax.experiments import launch

_PROCESSES = flags.DEFINE_integer('processes', 2, 'of local', lower_bound=1)
_DEVICES = flags.DEFINE_integer(
  'devices', 1, 'of local: CPU devices of each process', lower_bound=1
)
_HOSTS = flags.DEFINE_list('hosts', None, 'of hosts: as ssh knows them')
_PORT = flags.DEFINE_integer('port', 8476, 'of hosts: of the first, where all meet')
_SRUN = flags.DEFINE_string('srun', '', 'of slurm: options of srun')
_NAME = flags.DEFINE_string('name', None, 'of tpu: of the TPU VM')
_ZONE = flags.DEFINE_string('zone', None, 'of tpu: where it is')
_FOLDER = flags.DEFINE_string('folder', '~/symjax', 'of the project on other machines')
_PYTHON = flags.DEFINE_string('python', '.venv/bin/python', 'on other machines')
_DRY_RUN = flags.DEFINE_bool('dry_run', False, 'print the commands only')


def main(where: str, *program: str) -> None:
  """Launches, and ends as the processes do."""
  if not program or not program[0].startswith('run.'):
    raise UserError(
      'give the program and its flags behind --, such as -- run.train --config=...'
    )
  launches = _launches(where, program)
  if _DRY_RUN.value:
    print('\n'.join(map(str, launches)))
    return
  sys.exit(launch.start(launches))


def _launches(where: str, program: tuple[str, ...]) -> list[launch.Launch]:
  python, folder = _PYTHON.value, _FOLDER.value
  if where == 'local':
    port = launch.free_port()
    return launch.local(program, _PROCESSES.value, _DEVICES.value, port)
  if where == 'hosts':
    names = list(filter(None, _required('hosts', _HOSTS.value)))
    return launch.hosts(program, names, _PORT.value, folder, python)
  if where == 'slurm':
    return launch.slurm(program, shlex.split(_SRUN.value), python)
  if where == 'tpu':
    name, zone = _required('name', _NAME.value), _required('zone', _ZONE.value)
    return launch.tpu(program, name, zone, folder, python)
  raise UserError(f'{where!r} is no place; choose from hosts, local, slurm, tpu')


def _required(flag: str, value: Any) -> Any:
  if not value:
    raise UserError(f'give --{flag}')
  return value


if __name__ == '__main__':
  command.run(main, positional='local, hosts, slurm or tpu', rest=True)
