"""How numbers stand in `evaluation.json`: means with intervals, by name."""

from collections.abc import Mapping
from typing import Any


def estimate(mean: float, interval: tuple[float, float]) -> dict[str, Any]:
  """A number and its confidence interval, (low, high)."""
  return {'mean': float(mean), 'interval': list(interval)}


def metrics_of(record: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
  """The estimates of test metrics, in their order, by their names in words."""
  return {
    words(name): found
    for name, found in record.items()
    if name.startswith('test_') and isinstance(found, Mapping) and 'interval' in found
  }


def words(name: str) -> str:
  """A name of a record in words."""
  return name.replace('_', ' ')
