"""The segmentations of PASCAL VOC 2012, in the form of TFDS."""

import pathlib
from collections.abc import Iterator

import tensorflow_datasets as tfds

from symjax.data.label_maps import LabelledImage
from symjax.data.packed import Source
from symjax.data.segmentation import (
  SegmentationBuilder,
  read_list,
  read_pairs,
  require,
)

CLASS_NAMES = (
  'background',
  'aeroplane',
  'bicycle',
  'bird',
  'boat',
  'bottle',
  'bus',
  'car',
  'cat',
  'chair',
  'cow',
  'diningtable',
  'dog',
  'horse',
  'motorbike',
  'person',
  'pottedplant',
  'sheep',
  'sofa',
  'train',
  'tvmonitor',
)
VOID = 255


class VocSegmentation(SegmentationBuilder):
  """The TFDS builder of `voc_segmentation`: 1,464 + 1,449 images of many sizes.

  Everingham et al. (IJCV 88, 2010); TFDS's own `voc` has boxes and no segmentations.
  Labels are the numbers of the palette of `SegmentationClass`, where 255 marks the
  borders of objects and what is hard to tell.
  """

  VERSION = tfds.core.Version('1.0.0')
  DESCRIPTION = (
    'PASCAL VOC 2012 segmentation: 20 classes and background; label 255 is ignored.'
  )
  CLASS_NAMES = CLASS_NAMES
  IGNORE_LABEL = VOID
  SOURCES = (
    Source(
      'VOCdevkit/VOC2012',
      'http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar',
      'VOCtrainval_11-May-2012.tar',
      1_999_639_040,
      'e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb',
    ),
  )

  def splits(self, manual_dir: pathlib.Path) -> dict[str, Iterator[LabelledImage]]:
    """See the base class."""
    files = self.SOURCES[0].files(manual_dir)
    examples = {}
    for split, name in (('train', 'train'), ('validation', 'val')):
      listing = f'ImageSets/Segmentation/{name}.txt'
      pairs = [
        (f'JPEGImages/{line}.jpg', f'SegmentationClass/{line}.png')
        for line in read_list(listing, files)
      ]
      require(files, [path for pair in pairs for path in pair], listing)
      examples[split] = read_pairs(files, pairs)
    return examples
