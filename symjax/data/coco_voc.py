"""COCO 2017 with the classes of PASCAL VOC, in the form of TFDS."""

import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds

from symjax.data import coco_masks, voc_segmentation
from symjax.data.label_maps import LabelledImage
from symjax.data.packed import Files, Source
from symjax.data.segmentation import SegmentationBuilder, require
from symjax.errors import UserError

_HOST = 'http://images.cocodataset.org'
# COCO's category of each VOC class; no category is the background.
CATEGORIES = (0, 5, 2, 16, 9, 44, 6, 3, 17, 62, 21, 67, 18, 19, 4, 1, 64, 20, 63, 7, 72)
LEAST_AREA = 1000  # Pixels; a training image has more in all of its instances.

Instance = Mapping[str, Any]


class CocoVoc(SegmentationBuilder):
  """The TFDS builder of `coco_voc`, on which torchvision trains its segmentations.

  Instances of the 20 VOC classes, crowds included, are drawn on a background; pixels
  of more than one instance are void. Training images whose instances have an `area` of
  1,000 pixels or less in total are left out; all validation images are kept
  (torchvision, references/segmentation).
  """

  VERSION = tfds.core.Version('1.0.0')
  DESCRIPTION = (
    'COCO 2017 with the 20 classes of PASCAL VOC and background; label 255 is ignored.'
  )
  CLASS_NAMES = voc_segmentation.CLASS_NAMES
  IGNORE_LABEL = voc_segmentation.VOID
  SOURCES = (
    Source(
      'annotations',
      f'{_HOST}/annotations/annotations_trainval2017.zip',
      'annotations_trainval2017.zip',
      252_907_541,
      '113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268',
    ),
    Source(
      'train2017',
      f'{_HOST}/zips/train2017.zip',
      'train2017.zip',
      19_336_861_798,
      '69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929',
    ),
    Source(
      'val2017',
      f'{_HOST}/zips/val2017.zip',
      'val2017.zip',
      815_585_330,
      '4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05',
    ),
  )
  LIBRARIES = ('pycocotools',)

  def splits(self, manual_dir: pathlib.Path) -> dict[str, Iterator[LabelledImage]]:
    """See the base class."""
    annotations, train, validation = (
      source.files(manual_dir) for source in self.SOURCES
    )
    return {
      'train': _examples(annotations, 'instances_train2017.json', train, LEAST_AREA),
      'validation': _examples(annotations, 'instances_val2017.json', validation, None),
    }


def _examples(
  annotations: Files, listing: str, images: Files, least_area: int | None
) -> Iterator[LabelledImage]:
  """The examples of a split, once all of their images are known to be there."""
  require(annotations, [listing], str(annotations.place))
  name = f'{annotations.place}/{listing}'
  try:
    record = json.loads(annotations.read(listing))
    kept = kept_images(record['images'], record['annotations'], least_area)
    files = [image['file_name'] for image, _ in kept]
  except (ValueError, LookupError, TypeError) as error:
    raise UserError(
      f'{name} is not a whole file of COCO instances ({type(error).__name__}: {error})'
    ) from error
  if not kept:
    raise UserError(f'{name} names no images with enough of a VOC class')
  require(images, files, listing)
  return _drawn(kept, images, name)


def kept_images(
  images: Sequence[Mapping[str, Any]],
  instances: Sequence[Instance],
  least_area: int | None,
) -> list[tuple[Mapping[str, Any], list[Instance]]]:
  """Images with their instances of VOC classes, in the order of COCO's ids.

  Args:
    images: as in COCO's JSON.
    instances: its annotations.
    least_area: what the areas of an image's instances have to exceed in total, in
      pixels; None keeps all images.
  """
  of_image: dict[int, list[Instance]] = {image['id']: [] for image in images}
  for instance in instances:
    if instance['category_id'] in CATEGORIES:
      of_image[instance['image_id']].append(instance)
  kept = [(image, of_image[image['id']]) for image in images]
  kept.sort(key=lambda item: item[0]['id'])
  if least_area is None:
    return kept
  return [item for item in kept if sum(i['area'] for i in item[1]) > least_area]


def _drawn(
  kept: Sequence[tuple[Mapping[str, Any], list[Instance]]], images: Files, name: str
) -> Iterator[LabelledImage]:
  for image, instances in kept:
    file, labels_name = image['file_name'], f'{name}, image {image["id"]},'
    try:
      shapes = [
        (CATEGORIES.index(instance['category_id']), instance['segmentation'])
        for instance in instances
      ]
      labels = coco_masks.label_map(
        shapes, image['height'], image['width'], voc_segmentation.VOID
      )
    except Exception as error:  # pycocotools raises no narrower one.
      raise UserError(
        f'{labels_name} has a segmentation that is neither polygons nor a run-length '
        f'code ({type(error).__name__}: {error})'
      ) from error
    yield LabelledImage(
      f'{images.place}/{file}', images.read(file), labels, labels_name
    )
