"""From which kernel size the FFT convolves faster than the direct sum, measured.

python -m run.crossover [--out=DIR]

It takes about seven minutes on two CPU cores.
"""

from pathlib import Path

from absl import flags

from run import command
from symjax.experiments.crossover import crossover, crossover_table
from symjax.experiments.results import markdown

_OUT = flags.DEFINE_string('out', 'runs/crossover', 'where to write')


def main() -> None:
  """Measures, and prints the table."""
  out = Path(command.local_folder(_OUT.value))
  table = crossover_table(crossover(out))
  for start in [i for i, row in enumerate(table) if row[0].endswith('n =')]:
    end = next(
      (i for i in range(start + 1, len(table)) if table[i][0].endswith('n =')),
      len(table),
    )
    print(markdown(table[start:end]) + '\n')
  print(f'{out} holds crossover.json and figures/crossover.png')


if __name__ == '__main__':
  command.run(main)
