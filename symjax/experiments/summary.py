"""What is left of a finished run in a few numbers: `summary.json`."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax

from symjax.errors import UserError
from symjax.experiments.absent_classes import absent_classes
from symjax.experiments.data import Splits
from symjax.experiments.setup import Setup


def summarise(
  rows: Sequence[Mapping[str, Any]],
  setup: Setup,
  params: Any,
  splits: Splits,
  seconds: float,
  profile: Mapping[str, Any],
) -> dict[str, Any]:
  """The results of a run that reached its last step.

  Args:
    rows: of `metrics.jsonl`.
    setup: of the run.
    params: at its last step.
    splits: that it was trained and tested on.
    seconds: of training.
    profile: as in `profile.json`.

  Raises:
    UserError: the log lost the last evaluation.
  """
  tests = {row['step']: row for row in rows if setup.task.headline in row}
  if setup.schedule.steps not in tests:
    raise UserError(
      f'metrics.jsonl lost its row of step {setup.schedule.steps}; restore the file, '
      'or train anew in another --workdir'
    )
  absent = absent_classes(splits.test)
  rates = [row['images_per_second'] for row in rows if 'images_per_second' in row]
  return {
    **{name: tests[setup.schedule.steps][name] for name in setup.task.reported},
    **({'absent_classes': list(absent)} if absent else {}),
    'mean_symmetry': profile['mean_score'],
    'initial_mean_symmetry': tests.get(0, {}).get('mean_symmetry'),
    'steps': setup.schedule.steps,
    'train_seconds': seconds,
    'images_per_second': statistics.median(rates),
    'parameters': sum(leaf.size for leaf in jax.tree.leaves(params)),
    'dataset': splits.train.name,
    'dataset_note': splits.train.description,
    'train_examples': len(splits.train),
    'test_examples': len(splits.test),
  }


def update_options(config: Mapping[str, Any]) -> dict[str, Any]:
  """How a step goes from a batch to an update, for `summary.json`."""
  train = config['train']
  return {
    **{name: train[name] for name in ('microbatches', 'rematerialize', 'ema_decay')},
    'clip_norm': config['optimizer']['clip_norm'],
  }


def describe_update(config: Mapping[str, Any]) -> Iterator[str]:
  """The same in words, a line for each that is not as usual."""
  train, clip_norm = config['train'], config['optimizer']['clip_norm']
  parts = train['microbatches']
  if parts > 1:
    size = train['batch_size']
    yield f'batches of {size} in {parts} microbatches of {size // parts}, one update'
  if train['rematerialize']:
    yield 'cheap activations are computed again in the backward pass'
  if train['ema_decay']:
    yield (
      f'weights are averaged with decay {train["ema_decay"]}; the averages are what is '
      'tested, profiled and exported'
    )
  if clip_norm is not None:
    yield f'gradients are clipped to a norm of {clip_norm}'


def describe(summary: Mapping[str, Any]) -> str:
  """A summary in one line."""
  test = next(name for name in summary if name.startswith('test_'))
  before, after = summary['initial_mean_symmetry'], summary['mean_symmetry']
  parts = [f'{test} {summary[test]:.4f}']
  if before is not None and after is not None:  # There are convolutions.
    parts.append(f'mean symmetry {before:.3f} -> {after:.3f}')
  parts.append(f'{summary["steps"]} steps in {summary["train_seconds"]:.0f} s')
  return ', '.join(parts)
