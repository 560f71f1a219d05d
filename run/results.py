"""Print the results table of finished runs, as Markdown.

python -m run.results --workdirs=runs/cifar10_vgg,runs/mnist_vgg
"""

from absl import flags

from run import command
from symjax.experiments.results import results_table

_WORKDIRS = flags.DEFINE_list('workdirs', None, 'of run.train', required=True)


def main() -> None:
  """Prints the table."""
  print(results_table(_WORKDIRS.value))


if __name__ == '__main__':
  command.run(main)
