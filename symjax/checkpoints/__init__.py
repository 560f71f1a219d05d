"""All arrays on disk: runs' own checkpoints, and weights from and for elsewhere."""

from symjax.checkpoints.formats import read
from symjax.checkpoints.load import load_into, start_from
from symjax.checkpoints.store import CheckpointStore
from symjax.checkpoints.torch_export import export

__all__ = ['CheckpointStore', 'export', 'load_into', 'read', 'start_from']
