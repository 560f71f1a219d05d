"""All arrays on disk: runs' own checkpoints, and weights from and for elsewhere."""

from symjax.checkpoints.damage import find_damaged, saved_steps, set_aside
from symjax.checkpoints.formats import read
from symjax.checkpoints.load import load_into
from symjax.checkpoints.start import Start, start_from
from symjax.checkpoints.store import CheckpointStore
from symjax.checkpoints.torch_export import export

__all__ = [
  'CheckpointStore',
  'Start',
  'export',
  'find_damaged',
  'load_into',
  'read',
  'saved_steps',
  'set_aside',
  'start_from',
]
