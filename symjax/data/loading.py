"""From the name of a data set to its decoded images."""

import math
import os
import pathlib
from collections.abc import Callable, Iterable

import tensorflow_datasets as tfds

from symjax.data import cache, derived, folders, prepared
from symjax.data.dataset import Dataset
from symjax.data.decoding import decoded_blocks
from symjax.data.preparation import prepare
from symjax.errors import UserError

_MEMORY_SHARE = 0.5

# The shape of all images together, and consecutive pieces of images and labels.
Pieces = tuple[tuple[int, ...], Iterable[cache.Arrays]]


def load(
  name: str,
  split: str,
  data_dir: str | None = None,
  manual_dir: str | None = None,
  image_size: int | None = None,
) -> Dataset:
  """Any image classification set of TFDS, or one of this project's own.

  These are `rendered_digits`, `rendered_counts` (whose labels are counts), and the sets
  made from another one in `derived.DERIVED`.

  Where the set is not prepared, it is prepared first. The first time, all images are
  decoded into a cache: in `decoded/` of the prepared set's folder, or, where that may
  not be written, in `symjax/` of the user's cache folder. Afterwards the cache is
  mapped into memory, which needs no TensorFlow and decodes nothing. A set made from
  another one has its cache beside that of the other.

  Args:
    name: as TFDS writes it, such as 'svhn_cropped' or 'imagenette/160px-v2'.
    split: such as 'train'.
    data_dir: where TFDS keeps its data sets; None is TFDS's own default.
    manual_dir: where files that were downloaded by hand lie.
    image_size: for images that vary in size: the side, in pixels, of the central
      square kept of each, after resizing. Images that already have one size keep it,
      and this is ignored, as resizing them on the device is cheap.

  Raises:
    UserError: no such set or split, a missing or damaged file, images that do not fit
      into memory, or a cache that cannot be written.
  """
  recipe = derived.find(name)
  source = derived.source_of(name)
  folder = folders.data_directory(data_dir)
  builder = prepared.find(source, folder) or prepare(source, folder, manual_dir)
  task = prepared.labelled(builder.info)
  if split not in builder.info.splits:
    raise UserError(
      f'{builder.info.full_name} has no split {split!r}; it has '
      f'{", ".join(builder.info.splits)}'
    )
  size = _kept_size(builder, task, image_size)

  def decoded() -> cache.Arrays:
    leaf = split if size is None else f'{split}-{size}'
    return _cached(builder, leaf, lambda: _decode(builder, split, task, size))

  description = ' '.join(builder.info.description.split())
  if recipe is None:
    return Dataset(name, split, *decoded(), task.num_classes, description, task.kind)
  # By its version, because the code that makes it is not in the fingerprint.
  leaf = f'{split}-{name}-{recipe.version}'
  arrays = _cached(builder, leaf, lambda: _whole(recipe.make(split, *decoded())))
  description = f'{recipe.description} {description}'
  return Dataset(name, split, *arrays, recipe.num_classes, description)


def _kept_size(
  builder: tfds.core.DatasetBuilder,
  task: prepared.Labelled,
  image_size: int | None,
) -> int | None:
  """The side of the squares to cut, or None where the images stay as they are."""
  if None not in task.shape:
    return None
  if image_size is None or image_size < 1:
    raise UserError(
      f'the images of {builder.info.full_name} vary in size: give a side in pixels as '
      'image_size (data.image_size in a config)'
    )
  return image_size


def _cached(
  builder: tfds.core.DatasetBuilder, leaf: str, make: Callable[[], Pieces]
) -> cache.Arrays:
  """Reads a cache of a prepared set by its name, making it if it is not there yet."""
  base = pathlib.Path(builder.data_path)
  leaf = f'{leaf}-{prepared.fingerprint(builder)}'
  beside = base / 'decoded' / leaf
  own = folders.user_cache() / builder.info.full_name.replace('/', '-') / leaf
  for folder in (beside, own):
    if folder.is_dir():
      return cache.read(folder)

  pieces = make()
  folder = beside if folders.writable(beside.parent) else own
  cache.write(folder, *pieces)
  return cache.read(folder)


def _decode(
  builder: tfds.core.DatasetBuilder,
  split: str,
  task: prepared.Labelled,
  size: int | None,
) -> Pieces:
  """What is written to the cache of a split.

  Raises:
    UserError: the images do not fit into memory.
  """
  shape = (builder.info.splits[split].num_examples, *_image_shape(task, size))
  _check_memory(f'{builder.info.full_name} {split}', shape)
  return shape, decoded_blocks(builder, split, task, size)


def _whole(arrays: cache.Arrays) -> Pieces:
  """What is written to a cache of images that are in memory."""
  return arrays[0].shape, [arrays]


def _image_shape(task: prepared.Labelled, size: int | None) -> tuple[int, ...]:
  height, width, channels = task.shape
  return (size or height or 0, size or width or 0, channels)


def _check_memory(what: str, shape: tuple[int, ...]) -> None:
  needed = math.prod(shape)
  memory = physical_memory()
  if needed > _MEMORY_SHARE * memory:
    raise UserError(
      f'{what} would take {needed / 2**30:.1f} GiB decoded to {shape[1]}x{shape[2]} '
      f'pixels, more than half of the {memory / 2**30:.1f} GiB of memory here: take a '
      'smaller image_size, a smaller set, or a larger machine'
    )


def physical_memory() -> int:
  """Bytes of memory in this machine."""
  return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
