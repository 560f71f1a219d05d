"""Which optimiser moves which parameter: rules by path that cover every parameter."""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import optax

from symjax.errors import UserError

Rules = Sequence[tuple[str, str]]  # (pattern of a path, label), the first that fits.


def label_parameters(params: optax.Params, rules: Rules) -> Any:
  """A tree like `params` with the label of each parameter.

  Args:
    params: a tree of arrays. The path of a parameter is its keys joined by '/', such
      as 'features_0/kernel'.
    rules: (regular expression, label); the first whose expression matches a whole
      path labels that parameter.

  Raises:
    UserError: a rule that is no regular expression, or a parameter that none covers.
  """
  try:
    compiled = [(re.compile(pattern), label) for pattern, label in rules]
  except re.error as error:
    raise UserError(
      f'rule {error.pattern!r} is no regular expression: {error}'
    ) from None

  def label(path: tuple[Any, ...], leaf: Any) -> str:
    del leaf
    name = jax.tree_util.keystr(path, simple=True, separator='/')
    for pattern, label in compiled:
      if pattern.fullmatch(name):
        return label
    raise UserError(
      f'no rule covers parameter {name}; end the rules with one for all the rest, '
      "such as ('.*', label)"
    )

  return jax.tree_util.tree_map_with_path(label, params)


def by_path(
  optimizers: Mapping[str, optax.GradientTransformation], rules: Rules
) -> optax.GradientTransformation:
  """An optimiser for each group of parameters, chosen by their paths.

  Args:
    optimizers: label -> optimiser.
    rules: as in `label_parameters`.

  Raises:
    UserError: a rule with a label that has no optimiser; from `init`, as
      `label_parameters`.
  """
  for pattern, label in rules:
    if label not in optimizers:
      raise UserError(
        f'rule {pattern!r} has the label {label!r}, but there are optimisers for '
        f'{", ".join(optimizers)}'
      )
  return optax.partition(
    optimizers, functools.partial(label_parameters, rules=tuple(rules))
  )
