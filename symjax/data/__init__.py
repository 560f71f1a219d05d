"""TFDS data sets in, batches out."""

from symjax.data.batches import evaluation_batches, training_batches
from symjax.data.class_weights import class_weights, median_frequency
from symjax.data.dataset import Dataset
from symjax.data.fake import fake_dataset, fake_segmentation
from symjax.data.loading import load, load_stream
from symjax.data.order import batch_indices
from symjax.data.prefetch import prefetch
from symjax.data.report import requirement_lines
from symjax.data.stream import Stream

__all__ = [
  'Dataset',
  'Stream',
  'batch_indices',
  'class_weights',
  'evaluation_batches',
  'fake_dataset',
  'fake_segmentation',
  'load',
  'load_stream',
  'median_frequency',
  'prefetch',
  'requirement_lines',
  'training_batches',
]
