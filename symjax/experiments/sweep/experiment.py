"""Train what a sweep lacks, and compare all of it."""

import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from symjax.errors import UserError
from symjax.experiments.results import read_groups
from symjax.experiments.sweep.cells import Cell
from symjax.experiments.sweep.check import check
from symjax.experiments.sweep.compare import Row
from symjax.experiments.sweep.measures import (
  measured_runs,
  require_of_profiles,
  strided_layers,
)
from symjax.experiments.sweep.report import Report, write_report
from symjax.experiments.train import train


def sweep(
  cells: Sequence[Cell],
  workdir: str | Path,
  data_dir: str | None = None,
  manual_dir: str | None = None,
  command: str | None = None,
  measures: Sequence[str] = (),
) -> Report | None:
  """Trains the cells that are not complete yet, and compares those that then are.

  A cell is a workdir of `run.train` in the sweep's folder, so that one which was
  interrupted goes on where it was. What `write_report` writes stands beside them.

  Args:
    cells: of `make_cells`.
    workdir: the sweep's folder; it may hold cells of another grid.
    data_dir: where TFDS keeps its data sets; None is TFDS's own default.
    manual_dir: where files that were downloaded by hand lie.
    command: that began this.
    measures: names of what to compare beside the test metric, see `measures.py`.

  Returns:
    The comparison, or None if a signal stopped the sweep first.

  Raises:
    UserError: a cell that cannot be trained, or a measure that training does not give,
      before any is; or that all have failed.
  """
  folder = Path(workdir)
  require_of_profiles(measures)
  check(cells, folder, data_dir, manual_dir)
  failures: dict[str, str] = {}
  for number, cell in enumerate(cells, 1):
    print(f'cell {number} of {len(cells)}: {cell.describe()}', file=sys.stderr)
    try:
      # The table of layers of every run is not what was asked for.
      with contextlib.redirect_stdout(sys.stderr):
        path = folder / cell.name
        summary = train(cell.config, path, data_dir, manual_dir, cell.command)
    except UserError as error:
      failures[cell.name] = str(error)
      print(f'failed: {error}', file=sys.stderr)
      continue
    if summary is None:
      return None
  return write_report(
    _rows(cells, folder, failures, measures), folder, command, measures
  )


def _rows(
  cells: Sequence[Cell], folder: Path, failures: dict[str, str], measures: Sequence[str]
) -> list[Row]:
  """A row for all seeds of a cell, those that failed apart.

  Raises:
    UserError: no cell is left, or a run does not have a measure.
  """
  trained = {
    cell.name: read_groups([folder / cell.name])[0]
    for cell in cells
    if cell.name not in failures
  }
  if not trained:
    first = next(iter(failures.values()))
    raise UserError(f'all {len(cells)} cells failed; the first: {first}')
  strided = strided_layers(trained.values())
  rows: dict[str, Row] = {}
  for cell in cells:
    key = json.dumps(cell.config | {'seed': None}, sort_keys=True)
    row = rows.setdefault(key, Row(cell.settings, {}, {}))
    if cell.name in failures:
      row.failures[cell.config['seed']] = failures[cell.name]
    else:
      row.runs.update(measured_runs(trained[cell.name], measures, strided))
  return list(rows.values())
