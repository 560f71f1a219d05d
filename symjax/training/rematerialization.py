"""Activations computed again in the backward pass, where that costs little."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from jax.extend.core import (
  ClosedJaxpr,
  Jaxpr,
  Literal,
  Primitive,
  Var,
  jaxpr_as_fun,
  primitives,
)

_DEAR = frozenset(
  {primitives.conv_general_dilated_p, primitives.dot_general_p, primitives.fft_p}
)


def rematerialize(forward: Callable[..., Any]) -> Callable[..., Any]:
  """The same function, of which the backward pass keeps less than it needs.

  It keeps the results of convolutions, of products of matrices and of sums, and
  computes the rest again from them: padding, normalisation, activations, pooling and
  dropout, which are most of the bytes and few of the operations of a convolutional
  network. What is drawn is drawn again from the same keys, so values and gradients
  stay.

  The function is cut behind each of its convolutions, and each piece is a
  `jax.checkpoint`: so a piece is computed again when its own gradient is due, and not
  all of them when the first one is.

  Args:
    forward: a pure function of trees of arrays, differentiable.
  """

  def run(*arguments: Any) -> Any:
    traced, shapes = jax.make_jaxpr(forward, return_shape=True)(*arguments)
    program = traced.jaxpr
    values: dict[Any, Any] = dict(zip(program.constvars, traced.consts, strict=True))
    values |= zip(program.invars, jax.tree.leaves(arguments), strict=True)
    for piece in _pieces(program):
      compute = jax.checkpoint(jaxpr_as_fun(ClosedJaxpr(piece, ())), policy=_is_kept)
      results = compute(*(values[variable] for variable in piece.invars))
      values |= zip(piece.outvars, results, strict=True)
    results = [v.val if isinstance(v, Literal) else values[v] for v in program.outvars]
    return jax.tree.unflatten(jax.tree.structure(shapes), results)

  return run


def _is_kept(primitive: Primitive, *avals: Any, **params: Any) -> bool:
  """Whether the result of an operation is kept, as `jax.checkpoint` asks it."""
  del avals, params
  # Sums are small, BatchNorm's statistics for the most part, and over several devices
  # they would be sent a second time as well.
  return primitive in _DEAR or primitive is primitives.reduce_sum_p


def _pieces(program: Jaxpr) -> list[Jaxpr]:
  """The program in pieces that end with what is dear, each with what it needs."""
  groups: list[list[Any]] = [[]]
  for equation in program.eqns:
    groups[-1].append(equation)
    if _is_dear(equation):
      groups.append([])
  needed = set(_variables(program.outvars))
  pieces = []
  for group in reversed(groups):
    made = {variable for equation in group for variable in equation.outvars}
    read = dict.fromkeys(v for equation in group for v in _variables(equation.invars))
    results = [v for equation in group for v in equation.outvars if v in needed]
    sources = [variable for variable in read if variable not in made]
    pieces.append(
      program.replace(
        constvars=(),
        invars=sources,
        outvars=results,
        eqns=group,
        debug_info=program.debug_info.with_unknown_names(),
      )
    )
    needed = (needed - made) | set(sources)
  return pieces[::-1]


def _variables(atoms: Sequence[Any]) -> Iterator[Var]:
  return (atom for atom in atoms if isinstance(atom, Var))


def _is_dear(equation: Any) -> bool:
  """Whether an operation is one of those, or has one in it."""
  if equation.primitive in _DEAR:
    return True
  programs = jax.tree.leaves(
    list(equation.params.values()),
    is_leaf=lambda leaf: isinstance(leaf, Jaxpr | ClosedJaxpr),
  )
  return any(
    _is_dear(inner)
    for program in programs
    if isinstance(program, Jaxpr | ClosedJaxpr)
    for inner in program.eqns
  )
