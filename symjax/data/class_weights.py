"""How much each class counts in a loss, where some have few pixels."""

import numpy as np

from symjax.data.dataset import Dataset
from symjax.errors import UserError

# Of camvid's classes, in the losses of the SegNet tutorial. They are not the formula's:
# of the labels that come with it, signs get 3.85.
SEGNET_CAMVID = (
  0.2595,
  0.1826,
  4.5640,
  0.1417,
  0.9051,
  0.3826,
  9.6446,
  1.8418,
  0.6823,
  6.2478,
  7.3614,
)
NAMES = ('equal', 'median_frequency', 'segnet_camvid')


def median_frequency(labels: np.ndarray, num_classes: int) -> np.ndarray:
  """The median of the classes' frequencies over the frequency of each, [num_classes].

  A class's frequency is its pixels over all pixels, ignored ones included, of the
  images that show it (Eigen and Fergus, arXiv:1411.4734, as SegNet has it). A class
  that no image shows has weight 0 and is not in the median.

  Args:
    labels: uint8 [examples, height, width]; labels from num_classes on are ignored.
    num_classes: number of classes.
  """
  pixels, shown = np.zeros(num_classes), np.zeros(num_classes)
  for label_map in labels:
    counts = np.bincount(label_map.ravel(), minlength=num_classes)[:num_classes]
    pixels += counts
    shown += (counts > 0) * label_map.size
  present = pixels > 0
  weights = np.zeros(num_classes)
  if present.any():
    frequencies = pixels[present] / shown[present]
    weights[present] = np.median(frequencies) / frequencies
  return weights


def class_weights(name: str, training_set: Dataset) -> np.ndarray:
  """The weights of a name in `NAMES`, float64 [num_classes].

  `equal` are ones; `median_frequency` are those of the labels of the training set;
  `segnet_camvid` are those published for CamVid.

  Args:
    name: one of `NAMES`.
    training_set: a segmentation.

  Raises:
    UserError: no such name, or weights of another set's classes.
  """
  if name == 'equal':
    return np.ones(training_set.num_classes)
  if name == 'median_frequency':
    return median_frequency(training_set.labels, training_set.num_classes)
  if name != 'segnet_camvid':
    raise UserError(f'unknown class weights {name!r}; choose from {", ".join(NAMES)}')
  if training_set.name != 'camvid':
    raise UserError(
      f'class weights {name!r} are of the classes of camvid, not of '
      f'{training_set.name}: take median_frequency'
    )
  return np.array(SEGNET_CAMVID)
