"""Figures drawn from saved records; nothing else in symjax imports matplotlib.

Each function takes plain values as read from JSON and writes one PNG of 150 dots
per inch, whole or not at all, the same bytes for the same records.
"""

from symjax.figures.consistency import consistencies
from symjax.figures.crossover import crossovers
from symjax.figures.curves import training_curves
from symjax.figures.diagonal import diagonal_shift
from symjax.figures.equivariance import equivariance_errors
from symjax.figures.evolution import symmetry_over_training
from symjax.figures.filters import first_filters
from symjax.figures.foveation import foveation_map
from symjax.figures.kernels import mean_kernels
from symjax.figures.profile import symmetry_profile
from symjax.figures.segmentation import segmentations
from symjax.figures.size_sweep import size_sweep
from symjax.figures.skews import kernel_skews
from symjax.figures.sweep import sweep_results
from symjax.figures.table2 import table2_courses
from symjax.figures.trends import trend_lines

__all__ = [
  'consistencies',
  'crossovers',
  'diagonal_shift',
  'equivariance_errors',
  'first_filters',
  'foveation_map',
  'kernel_skews',
  'mean_kernels',
  'segmentations',
  'size_sweep',
  'symmetry_over_training',
  'sweep_results',
  'symmetry_profile',
  'table2_courses',
  'training_curves',
  'trend_lines',
]
