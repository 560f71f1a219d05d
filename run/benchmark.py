"""Measure speed as a ratio against a named alternative; one JSON object a line.

python -m run.benchmark profile
python -m run.benchmark input [--config=configs/digits_vgg.py]
python -m run.benchmark optimizer
python -m run.benchmark conv [--calibrate=FILE [--config=...] | --cost_table=FILE]
python -m run.benchmark train_step [--cost_table=FILE]

`--calibrate` times some 200 convolutions, in 9 minutes on 2 CPU cores, and with
`--config` those of that network as well, which then go by their own times.
"""

import json

from absl import flags

from run import command
from symjax.experiments.benchmark import run_benchmark
from symjax.nn.conv import read_cost_table

command.define_config(default='configs/digits_vgg.py')
command.define_data()
_CALIBRATE = flags.DEFINE_string(
  'calibrate', None, "of conv: file for this machine's times of convolutions"
)
_COST_TABLE = flags.DEFINE_string(
  'cost_table', None, 'of conv and train_step: such a file, to choose algorithms by'
)


def main(name: str) -> None:
  """Runs the benchmark of this name."""
  costs = None if _COST_TABLE.value is None else read_cost_table(_COST_TABLE.value)
  records = run_benchmark(
    name,
    command.config(),
    *command.data_folders(),
    costs,
    _CALIBRATE.value,
    of_config=command.is_configured(),
  )
  for record in records:
    print(json.dumps(record), flush=True)


if __name__ == '__main__':
  command.run(main, positional='the name of a benchmark')
