"""All arrays on disk."""

from symjax.checkpoints.store import CheckpointStore

__all__ = ['CheckpointStore']
