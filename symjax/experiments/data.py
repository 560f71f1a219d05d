"""The splits of a config's `data` group."""

import contextlib
import dataclasses
import functools
import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from symjax import data
from symjax.data import builders, derived, folders, prepared
from symjax.errors import UserError

_MADE_UP = 1000  # Images, where the config does not say how many.
_FAKE_COUNTS = 10  # Different labels, where made-up images stand in for counts.
# Of a training split, where only the prepared set would say. No shape depends on it.
_SUPPOSED_EXAMPLES = 50_000


def image_size(group: Mapping[str, Any]) -> tuple[int, int] | None:
  """[height, width] of a config's `data.image_size`; None is that of the data.

  One number is the side of a square.

  Raises:
    UserError: it is no size.
  """
  given = group['image_size']
  if given is None:
    return None
  sides = [given] if isinstance(given, int) else list(given)
  whole = all(isinstance(side, int) and side > 0 for side in sides)
  if len(sides) not in (1, 2) or not whole:
    raise UserError(
      f'data.image_size={given}; give a side, or height and width, in pixels'
    )
  return sides[0], sides[-1]


class Splits(NamedTuple):
  """What an experiment trains and tests on."""

  train: data.Dataset | data.Stream
  test: data.Dataset


def load_splits(
  group: Mapping[str, Any], data_dir: str | None, manual_dir: str | None
) -> Splits:
  """The training and the test split, cut to the config's numbers of examples.

  Args:
    group: the config's `data`; where its `fake` is true and the set is not prepared,
      made-up images of the set's shape and classes stand in for it. Of the training
      split of `stream`, no image is decoded yet.
    data_dir: where TFDS keeps its data sets; None is TFDS's own default.
    manual_dir: where files that were downloaded by hand lie.

  Raises:
    UserError: the set cannot be had.
  """
  size = image_size(group)
  for split in ('train', 'test'):
    limit = group[f'{split}_examples']
    if limit is not None and limit < 1:
      raise UserError(f'data.{split}_examples={limit} must be positive')
  if group['crop_area'] and not group['stream']:
    raise UserError(
      'data.crop_area is of images that are streamed: give data.stream=true, or '
      'data.crop_area=()'
    )
  if group['fake'] and not _is_prepared(group['name'], data_dir):
    made_up = functools.partial(_stand_in, group, data_dir=data_dir, size=size)
    return Splits(made_up('train'), made_up('test'))
  places = data_dir, manual_dir
  train: data.Dataset | data.Stream
  if group['stream']:
    train = data.load_stream(
      group['name'],
      'train',
      *places,
      image_size=size,
      center_crop=group['center_crop'],
      crop_area=tuple(group['crop_area'] or ()) or None,
      limit=group['train_examples'],
    )
  else:
    train = _limited(group, 'train', *places, size, group['center_crop'])
  return Splits(train, _limited(group, 'test', *places, size, group['center_crop']))


def load_scenes(
  group: Mapping[str, Any], side: int, data_dir: str | None, manual_dir: str | None
) -> data.Dataset | None:
  """The test split in squares of `side` pixels, resized and cropped.

  Only images that vary in size can be cut to another one: those of one size are all
  that there is, and there is nothing around them; and those with a label map are not
  cut, but put on a canvas.

  Args:
    group: the config's `data`, whose test split has been loaded.
    side: of the squares.
    data_dir: as for `load_splits`.
    manual_dir: likewise.

  Returns:
    The same examples in the same order, or None where the images are not cut.
  """
  found = prepared.find(
    derived.source_of(group['name']), folders.data_directory(data_dir)
  )
  if found is None:
    return None
  task = prepared.labelled(found.info)
  if None not in task.shape or task.kind == 'segmentation':
    return None
  return _limited(group, 'test', data_dir, manual_dir, (side, side))


def blank_split(group: Mapping[str, Any], data_dir: str | None) -> data.Dataset:
  """Black images of the shape and with the classes that the training split has.

  They take no memory, and neither the set nor anything of it has to be at hand.

  Args:
    group: the config's `data`.
    data_dir: where TFDS keeps its data sets; None is TFDS's own default.

  Raises:
    UserError: there is no such set, or its images vary in size and `image_size` is
      None.
  """
  recipe, source = derived.find(group['name']), derived.source_of(group['name'])
  folder = folders.data_directory(data_dir)
  builder = prepared.find(source, folder) or builders.make_builder(source, folder)
  task = prepared.labelled(builder.info)
  if None in task.shape and group['image_size'] is None:
    raise UserError(
      f'the images of {group["name"]} vary in size: give data.image_size, in pixels'
    )
  labelled: dict[str, Any] = {
    'ignore_label': task.ignore_label,
    'class_names': task.class_names,
  }
  kind, num_classes = task.kind, task.num_classes
  height, width, channels = task.shape
  size = image_size(group)
  if size and (kind == 'segmentation' or not (height and width)):
    height, width = size  # To which they are brought when they are read.
  assert height and width, 'or else refused above'
  shape: tuple[int, ...] = (height, width, channels)
  if recipe:
    blank = np.zeros((1, *shape), np.uint8), np.zeros(1, np.int32)
    with contextlib.redirect_stderr(io.StringIO()):  # It tells how far it is.
      shape = recipe.make('train', *blank)[0].shape[1:]
    kind, num_classes, labelled = 'classification', recipe.num_classes, {}
  splits = builder.info.splits or {}
  known = splits['train'].num_examples if 'train' in splits else _SUPPOSED_EXAMPLES
  count = group['train_examples'] or known
  labels = (count, *shape[:2]) if kind == 'segmentation' else (count,)
  label_type = np.uint8 if kind == 'segmentation' else np.int32
  return data.Dataset(
    group['name'],
    'train',
    np.broadcast_to(np.uint8(0), (count, *shape)),
    np.broadcast_to(label_type(0), labels),
    num_classes,
    f'black images in place of {group["name"]}',
    kind,
    **labelled,
  )


def _limited(
  group: Mapping[str, Any],
  split: str,
  data_dir: str | None,
  manual_dir: str | None,
  size: tuple[int, int] | None,
  center_crop: float = 1.0,
) -> data.Dataset:
  limit = group[f'{split}_examples']
  name = group['test_split'] if split == 'test' else split
  # Only the configs of segmentations have a shorter side.
  shorter = group.get('shorter_side')
  places = data_dir, manual_dir
  dataset = data.load(group['name'], name, *places, size, shorter, center_crop)
  return dataclasses.replace(
    dataset, images=dataset.images[:limit], labels=dataset.labels[:limit]
  )


def _is_prepared(name: str, data_dir: str | None) -> bool:
  source = derived.source_of(name)
  return prepared.find(source, folders.data_directory(data_dir)) is not None


def _stand_in(
  group: Mapping[str, Any],
  split: str,
  data_dir: str | None,
  size: tuple[int, int] | None,
) -> data.Dataset:
  """Made-up images with the classes of a set, of its shape or, if that varies, 32x32.

  Those of a segmentation have the size that is asked for, as their labels do.
  """
  name, num_examples = group['name'], group[f'{split}_examples'] or _MADE_UP
  recipe, source = derived.find(name), derived.source_of(name)
  builder = builders.make_builder(source, folders.data_directory(data_dir))
  task = prepared.labelled(builder.info)
  height, width, channels = task.shape
  if task.kind == 'segmentation':
    height, width = size or (height, width)
    return data.fake_segmentation(
      name,
      split,
      class_names=task.class_names,
      ignore_label=task.ignore_label,
      image_shape=(height or 32, width or 32, channels),
      num_examples=num_examples,
    )
  counting = recipe is None and task.kind == 'counting'
  num_classes = recipe.num_classes if recipe else task.num_classes
  dataset = data.fake_dataset(
    name,
    split,
    num_classes=_FAKE_COUNTS if counting else num_classes,
    image_shape=(height or 32, width or 32, channels),
    num_examples=num_examples,
  )
  if not counting:
    return dataset
  return dataclasses.replace(dataset, kind=task.kind, num_classes=num_classes)
