"""All arrays on disk: runs' own checkpoints, and weights from and for elsewhere."""

from symjax.checkpoints.export import export
from symjax.checkpoints.load import load_into, start_from
from symjax.checkpoints.read import read
from symjax.checkpoints.store import CheckpointStore

__all__ = ['CheckpointStore', 'export', 'load_into', 'read', 'start_from']
