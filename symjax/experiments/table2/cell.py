"""One cell of Table 2: all runs of one depth and method, from data to record."""

import dataclasses
import math
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from symjax import data
from symjax.errors import UserError
from symjax.experiments.provenance import provenance
from symjax.experiments.table2.protocol import Protocol
from symjax.experiments.table2.runs import Cell, Images
from symjax.experiments.table2.spread import make_mesh, over_runs
from symjax.experiments.table2.stopping import reason_to_stop
from symjax.progress import progress


@dataclasses.dataclass(frozen=True)
class Splits:
  """What every run draws: indices into the training images, [runs, n] each."""

  selection_train: np.ndarray
  selection_validation: np.ndarray
  train: np.ndarray
  validation: np.ndarray


def draw_splits(protocol: Protocol, examples: int) -> Splits:
  """Disjoint training and validation images, drawn anew for each run.

  Run i draws the same, however many runs there are.

  Args:
    protocol: of all runs.
    examples: how many images there are to draw from.

  Raises:
    UserError: fewer than the protocol needs.
  """

  def draw(purpose: int, *sizes: int) -> list[np.ndarray]:
    if sum(sizes) > examples:
      raise UserError(
        f'the protocol needs {sum(sizes)} training images, and there are {examples}'
      )
    orders = [
      np.random.default_rng([protocol.seed, run, purpose]).permutation(examples)
      for run in range(protocol.runs)
    ]
    together = np.stack(orders).astype(np.int32)[:, : sum(sizes)]
    return np.split(together, np.cumsum(sizes)[:-1], axis=1)

  selection = draw(0, protocol.selection_train, protocol.selection_validation)
  return Splits(*selection, *draw(1, protocol.train, protocol.validation))


def run_cell(
  cell: Cell, splits: Splits, training: data.Dataset, test: data.Dataset
) -> dict[str, Any]:
  """Trains all runs of a cell.

  Args:
    cell: depth and method.
    splits: of all runs.
    training: the images that the splits are drawn from.
    test: the test split.

  Returns:
    The record of the cell, plain values: `depth`, `label`, `runs` (for each its `rate`,
    the `selection_errors` of all rates, why it `stopped`, and after each epoch `rates`,
    `cost`, `train_error`, `validation_error` and `test_error`), and `seconds`, commit,
    versions and hardware. What is not finite is None.
  """
  began = time.monotonic()
  origin = provenance()
  protocol = cell.protocol
  mesh = make_mesh(protocol.runs)
  runs = np.arange(protocol.runs, dtype=np.int32)
  pool, held_out = (
    Images(jnp.asarray(split.images), jnp.asarray(split.labels, jnp.int32))
    for split in (training, test)
  )

  select = over_runs(cell.select, mesh, shared=1)
  errors = np.asarray(
    select(runs, splits.selection_train, splits.selection_validation, pool)
  )
  # The first of equals; a rate under which training diverged is the last choice.
  chosen = np.argmin(np.where(np.isnan(errors), np.inf, errors), axis=1)
  rates = np.asarray(protocol.rates, np.float32)[chosen]

  states = over_runs(cell.begin, mesh, shared=1)(runs, rates, pool)
  epoch = over_runs(cell.epoch, mesh, shared=3)
  records = [
    {
      'rate': protocol.rates[choice],
      'selection_errors': [_number(error) for error in tried],
      'stopped': None,
      **{name: [] for name in ('rates', 'cost', *_ERRORS)},
    }
    for choice, tried in zip(chosen, errors, strict=True)
  ]
  title = f'depth {cell.model.depth}, {cell.method.label}'
  for number in progress(range(protocol.max_epochs), title):
    going = np.array([record['stopped'] is None for record in records])
    states, measured = epoch(
      runs,
      going,
      states,
      splits.train,
      splits.validation,
      np.int32(number),
      pool,
      held_out,
    )
    measured = jax.device_get(measured)
    for run in np.flatnonzero(going):
      _take(records[run], {k: v[run] for k, v in measured._asdict().items()}, protocol)
    if all(record['stopped'] for record in records):
      break
  return {
    'depth': cell.model.depth,
    'label': cell.method.label,
    'runs': records,
    'seconds': time.monotonic() - began,
    **origin,
  }


_ERRORS = ('train_error', 'validation_error', 'test_error')


def _take(
  record: dict[str, Any], measured: dict[str, np.ndarray], protocol: Protocol
) -> None:
  """Adds an epoch to the record of a run, and notes whether it was the last."""
  record['rates'].append(_number(measured['rate']))
  for name in ('cost', *_ERRORS):
    record[name].append(_number(measured[name]))
  record['stopped'] = reason_to_stop(
    protocol, record['cost'], record['train_error'], record['validation_error']
  )


def _number(value: np.ndarray) -> float | None:
  # A float32 says no more than these digits; JSON would write twice as many.
  return float(f'{float(value):.7g}') if math.isfinite(value) else None
