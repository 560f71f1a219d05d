"""The convolutions of a network, as 'auto' meets them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

from symjax import data
from symjax.errors import UserError
from symjax.experiments.data import blank_split
from symjax.experiments.setup import build_for, precision
from symjax.nn.conv.costs import CostTable
from symjax.nn.conv.problem import Problem


@dataclasses.dataclass(frozen=True, eq=False)
class _Questions(CostTable):
  """A table without times, which notes the shapes that it is asked about."""

  problems: dict[Problem, None] = dataclasses.field(default_factory=dict)

  def fastest(self, name: str, problem: Problem) -> str:
    """XLA's own: what is chosen changes no other shape."""
    self.problems[problem] = None
    return 'xla'


def network_problems(config: Mapping[str, Any], data_dir: str | None) -> list[Problem]:
  """The convolutions for which a config's training step chooses an algorithm.

  Nothing is computed, and of the data set only the shapes need be known.

  Args:
    config: plain values of an experiment.
    data_dir: where TFDS keeps its data sets; None is TFDS's own default.

  Raises:
    UserError: a config that makes no experiment, or leaves nothing to choose.
  """
  questions = _Questions('', ())
  algorithm = config['model']['algorithm']
  if algorithm != 'auto':
    raise UserError(
      f'model.algorithm={algorithm} leaves nothing to calibrate for; take auto'
    )
  if 'task' in config:  # Weights need the labels, and change no shape.
    config = {**config, 'task': {**config['task'], 'class_weights': 'equal'}}
  with precision(config):
    split = blank_split(config['data'], data_dir)
    setup = build_for(config, split, questions)
    state = jax.eval_shape(setup.create_state)
    [batch] = data.training_batches(split, config['train']['batch_size'], 0, 0, 1)
    questions.problems.clear()  # Those of the single image that shapes came from.
    jax.eval_shape(setup.train_step, state, batch)
  return list(questions.problems)
