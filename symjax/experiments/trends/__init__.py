"""Consistency against accuracy over many networks, with trend lines."""

from symjax.experiments.trends.lines import Line, Offset, fit_line, offset_test
from symjax.experiments.trends.points import (
  PUBLISHED,
  Point,
  evaluated_points,
  published_points,
)
from symjax.experiments.trends.report import report_trends, trends_table

__all__ = [
  'PUBLISHED',
  'Line',
  'Offset',
  'Point',
  'fit_line',
  'offset_test',
  'evaluated_points',
  'published_points',
  'report_trends',
  'trends_table',
]
