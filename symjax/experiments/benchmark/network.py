"""The convolutions of a network, as 'auto' meets them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

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
  """The convolutions among whose algorithms a training of a config has the choice.

  Nothing is computed, and of the data set only the shapes need be known.

  Args:
    config: plain values of an experiment.
    data_dir: where TFDS keeps its data sets; None is TFDS's own default.

  Raises:
    UserError: a config that makes no experiment.
  """
  questions = _Questions('', ())
  with precision(config):
    setup = build_for(config, blank_split(config['data'], data_dir), questions)
    questions.problems.clear()  # Those of single images, from the layer table.
    images = jax.ShapeDtypeStruct(
      (setup.microbatch_size, *setup.image_shape), setup.model.dtype
    )
    jax.eval_shape(
      lambda seed, x: setup.model.init(jax.random.key(seed), x, train=False), 0, images
    )
  return list(questions.problems)
