"""How good and how consistent a trained network is."""

from symjax.experiments.evaluation.estimates import words
from symjax.experiments.evaluation.images import summarise
from symjax.experiments.evaluation.measured import Measured, measure, of_images
from symjax.experiments.evaluation.report import evaluation_table, report_evaluation

__all__ = [
  'Measured',
  'evaluation_table',
  'measure',
  'of_images',
  'report_evaluation',
  'summarise',
  'words',
]
