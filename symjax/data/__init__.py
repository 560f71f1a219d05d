"""TFDS data sets in, batches out."""

from symjax.data.batches import batch_indices, evaluation_batches, training_batches
from symjax.data.class_weights import class_weights, median_frequency
from symjax.data.dataset import Dataset
from symjax.data.fake import fake_dataset, fake_segmentation
from symjax.data.loading import load
from symjax.data.prefetch import prefetch
from symjax.data.report import requirement_lines

__all__ = [
  'Dataset',
  'batch_indices',
  'class_weights',
  'evaluation_batches',
  'fake_dataset',
  'fake_segmentation',
  'load',
  'median_frequency',
  'prefetch',
  'requirement_lines',
  'training_batches',
]
