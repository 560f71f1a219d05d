"""That the processes of a run were started alike, before they compute together."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symjax.errors import UserError
from symjax.experiments.workdir import differences
from symjax.training.agreement import gather_text

_PACKAGE = Path(__file__).parent.parent


def require_agreement(
  config: Mapping[str, Any], init_weights: str | None, origin: Mapping[str, Any]
) -> None:
  """Checks that every process has the same config, code and versions.

  The code is compared by its commit and by the content of its files, because changes
  that were not committed look alike.

  Args:
    config: plain values.
    init_weights: file that the run starts from.
    origin: from `provenance`.

  Raises:
    UserError: on every process, naming what differs from process 0.
  """
  own = {
    **config,
    '--init_weights': init_weights,
    'commit': origin['commit'],
    'code': _digest(_PACKAGE),
    'versions': origin['versions'],
  }
  first, *others = map(json.loads, gather_text(json.dumps(own)))
  for index, other in enumerate(others, 1):
    changes = [
      f'{key}={theirs} (process 0: {ours})'
      for key, ours, theirs in differences(first, other)
    ]
    if changes:
      raise UserError(
        f'process {index} has {", ".join(changes)}; start every process with the same '
        'command and the same code'
      )


def _digest(folder: Path) -> str:
  """Of the names and contents of Python files."""
  total = hashlib.sha256()
  for path in sorted(folder.rglob('*.py')):
    total.update(f'{path.relative_to(folder)}\0'.encode())
    total.update(hashlib.sha256(path.read_bytes()).digest())
  return total.hexdigest()[:12]
