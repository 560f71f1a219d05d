"""Measure speed as a ratio against a named alternative; one JSON object a line.

python -m run.benchmark profile
python -m run.benchmark input [--config=configs/digits_vgg.py]
python -m run.benchmark optimizer
"""

import json

from run import command
from symjax.experiments.benchmark import run_benchmark

command.define_config(default='configs/digits_vgg.py')
command.define_data()


def main(name: str) -> None:
  """Runs the benchmark of this name."""
  for record in run_benchmark(name, command.config(), *command.data_folders()):
    print(json.dumps(record), flush=True)


if __name__ == '__main__':
  command.run(main, positional='the name of a benchmark')
