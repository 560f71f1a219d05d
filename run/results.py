"""Print the results table of finished runs, as Markdown.

python -m run.results --workdirs=runs/cifar10_vgg,runs/mnist_vgg

With `--compare` also whether the runs of two configs differ, seed by seed, and with
`--figure` a picture of the symmetry of their layers, as means over seeds.
"""

from absl import flags

from run import command
from symjax import figures
from symjax.experiments.comparison import comparison_table, mean_profile, name_of
from symjax.experiments.results import P_VALUES, read_groups, results_table

_WORKDIRS = flags.DEFINE_list('workdirs', None, 'of run.train', required=True)
_COMPARE = flags.DEFINE_bool('compare', False, 'the second config with the first')
_FIGURE = flags.DEFINE_string('figure', None, 'PNG to write, of compared configs')


def main() -> None:
  """Prints the tables, and draws the figure."""
  groups = read_groups(_WORKDIRS.value)
  print(results_table(groups))
  if any(len(group.summaries) > 1 for group in groups):
    print(f'\n{P_VALUES}')
  if not _COMPARE.value:
    return
  print(f'\n{comparison_table(groups)}')
  if _FIGURE.value:
    profiles = {name_of(group, groups): mean_profile(group) for group in groups}
    networks = ' and '.join(
      dict.fromkeys(
        f'{group.config["model"]["name"]} on {group.config["data"]["name"]}'
        for group in groups
      )
    )
    counts = dict.fromkeys(str(len(group.summaries)) for group in groups)
    seeds = ' and '.join(counts)
    figures.symmetry_profile(
      profiles,
      _FIGURE.value,
      f'{networks}, means over {seeds} seeds: symmetry of the mean kernel of every '
      'layer, beside that of its single kernels and of random ones.',
    )


if __name__ == '__main__':
  command.run(main)
