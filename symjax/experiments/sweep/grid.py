"""The values that a sweep goes through."""

import re
from collections.abc import Sequence

from symjax.errors import UserError

_COMMA = re.compile(r',(?![^(\[]*[)\]])')  # None within brackets, as of a tuple.


def parse_grid(texts: Sequence[str]) -> dict[str, list[str]]:
  """Config key -> the values to take, in their order, of texts `key=value,value`.

  Raises:
    UserError: a text of another form, a key or a value given twice.
  """
  grid: dict[str, list[str]] = {}
  for text in texts:
    key, equals, listed = text.partition('=')
    values = _COMMA.split(listed)
    if not key or not equals or '' in values:
      raise UserError(
        f'--grid={text} is not KEY=VALUE,VALUE, as --grid=model.padding=zero,reflect is'
      )
    if key in grid:
      raise UserError(f'--grid has {key} twice; give all of its values at once')
    if len(set(values)) < len(values):
      raise UserError(f'--grid={text} has a value twice')
    grid[key] = values
  return grid
