"""Where numbers come from: commit, versions, hardware."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax

_PACKAGES = ('symjax', 'jax', 'jaxlib', 'flax', 'optax', 'numpy')


def provenance() -> dict[str, Any]:
  """What a results table says beside a number.

  Returns:
    `commit`: of this repository, with '+changes' if files differ from it, None
    outside of one; `versions`; `hardware`: in words; `devices` and `processes`.
  """
  return {
    'commit': _commit(),
    'versions': {
      'python': platform.python_version(),
      **{name: importlib.metadata.version(name) for name in _PACKAGES},
    },
    'hardware': _hardware(),
    'devices': jax.device_count(),
    'processes': jax.process_count(),
  }


def _commit() -> str | None:
  folder = Path(__file__).parent

  def git(*arguments: str) -> str:
    return subprocess.run(
      ('git', '-C', str(folder), *arguments), capture_output=True, text=True, check=True
    ).stdout.strip()

  try:
    if Path(git('rev-parse', '--show-toplevel')) != folder.parent.parent:
      return None  # Installed somewhere inside another project's repository.
    changes = git('status', '--porcelain', '--untracked-files=no')
    return git('rev-parse', '--short=12', 'HEAD') + ('+changes' if changes else '')
  except (OSError, subprocess.CalledProcessError):
    return None


def _hardware() -> str:
  device = jax.devices()[0]
  if device.platform != 'cpu':
    return f'{jax.device_count()} x {device.device_kind}'
  return f'{os.cpu_count()} CPU cores'
