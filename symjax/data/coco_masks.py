"""Label maps from COCO's polygons and run-length codes.

They are drawn by pycocotools, because its rule for the pixels on an outline is the
definition of COCO's masks: another one would widen objects, and void where two touch.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np


def label_map(
  shapes: Iterable[tuple[int, Any]], height: int, width: int, overlap: int
) -> np.ndarray:
  """The class of each pixel, uint8 [height, width]; 0 where there is no shape.

  Args:
    shapes: class and `segmentation` of each instance, as in COCO's JSON.
    height: of the image.
    width: of the image.
    overlap: label of the pixels in more than one instance.
  """
  labels = np.zeros((height, width), np.uint8)
  covered = np.zeros((height, width), bool)
  for label, segmentation in shapes:
    inside = mask(segmentation, height, width)
    labels[inside] = label
    labels[inside & covered] = overlap
    covered |= inside
  return labels


def mask(segmentation: Any, height: int, width: int) -> np.ndarray:
  """The pixels of one instance, bool [height, width]: the union of its polygons.

  Args:
    segmentation: polygons, each x, y, x, y ...; or a run-length code, of which COCO
      makes crowds.
    height: of the image.
    width: of the image.
  """
  from pycocotools import mask as coco  # Only those who prepare COCO have it.

  codes = coco.frPyObjects(segmentation, height, width)
  whole = coco.merge(codes) if isinstance(codes, list) else codes
  return coco.decode(whole).astype(bool)
