"""Many runs, and what tells them apart: `run.sweep`."""

from symjax.experiments.sweep.cells import Cell, make_cells
from symjax.experiments.sweep.compare import compare_workdirs
from symjax.experiments.sweep.experiment import sweep
from symjax.experiments.sweep.grid import parse_grid
from symjax.experiments.sweep.report import Report, write_report

__all__ = [
  'Cell',
  'Report',
  'compare_workdirs',
  'make_cells',
  'parse_grid',
  'write_report',
  'sweep',
]
