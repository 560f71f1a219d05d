"""All arrays on disk."""

from symjax.checkpoints.read import read
from symjax.checkpoints.store import CheckpointStore

__all__ = ['CheckpointStore', 'read']
