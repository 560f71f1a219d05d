"""Colours of the classes of segmentations."""

import matplotlib
import numpy as np

# Of the data set itself, in the order of its labels: sky, building, pole, road,
# pavement, tree, sign, fence, car, pedestrian, bicyclist; black is what has no label.
_CAMVID = (
  (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222),
  (128, 128, 0), (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0),
  (0, 128, 192), (0, 0, 0),
)  # fmt: skip
_VOC_SETS = ('voc_segmentation', 'coco_voc')
_VOC_VOID = (224, 224, 192)  # As in its label images: black is the background.
_UNLABELLED = (0, 0, 0)


def class_colors(dataset: str, count: int) -> np.ndarray:
  """The colours of a set's classes, and one for pixels that have none.

  CamVid and the sets of VOC's classes have their own. Any other set has those of
  matplotlib's `tab20`, or, of more than 20 classes, as many from its `turbo`, and
  black for pixels without a class.

  Args:
    dataset: its name.
    count: of classes.

  Returns:
    uint8 [count + 1, 3], red, green and blue; the last one is of no class.
  """
  if dataset == 'camvid' and count + 1 == len(_CAMVID):
    return np.array(_CAMVID, np.uint8)
  if dataset in _VOC_SETS:
    return np.array([*map(_voc_color, range(count)), _VOC_VOID], np.uint8)
  if count <= 20:
    colors = matplotlib.colormaps['tab20'](np.arange(count))
  else:
    colors = matplotlib.colormaps['turbo'](np.linspace(0, 1, count))
  kept = np.rint(255 * colors[:, :3]).astype(np.uint8)
  return np.concatenate([kept, np.array([_UNLABELLED], np.uint8)])


def _voc_color(label: int) -> tuple[int, ...]:
  """Every third bit of the label is one channel's, the lowest ones its highest."""
  return tuple(
    sum((label >> (3 * i + channel) & 1) << (7 - i) for i in range(8))
    for channel in range(3)
  )
