"""From the name of a data set to its decoded images."""

import math
import pathlib
from collections.abc import Callable, Iterable

import tensorflow_datasets as tfds

from symjax.data import cache, derived, folders, prepared
from symjax.data.dataset import Dataset
from symjax.data.decoding import decoded_blocks, encoded_records
from symjax.data.memory import physical_memory
from symjax.data.preparation import prepare
from symjax.data.resized_crop import require_area
from symjax.data.sizing import Sizing, sizing_of
from symjax.data.stream import Stream
from symjax.errors import UserError

_MEMORY_SHARE = 0.5

# The number of examples, and consecutive pieces of images and labels.
Pieces = tuple[int, Iterable[cache.Arrays]]


def load(
  name: str,
  split: str,
  data_dir: str | None = None,
  manual_dir: str | None = None,
  image_size: tuple[int, int] | None = None,
  shorter_side: int | None = None,
  center_crop: float = 1.0,
) -> Dataset:
  """Any set of images with classes or label maps in TFDS, or one of this project's own.

  These are `rendered_digits`, `rendered_counts` (whose labels are counts), the sets
  made from another one in `derived.DERIVED`, and the segmentations `camvid`,
  `voc_segmentation` and `coco_voc`.

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
    image_size: [height, width], in pixels. Images with a class that vary in size are
      resized to cover it, and cropped at their centre; if they already have one size
      they keep it, and this is ignored, as resizing them on the device is cheap. Images
      with a label map are put on a `Canvas` of this size, and their labels with them;
      None keeps images of one size as they are.
    shorter_side: of a `Canvas`.
    center_crop: the share of what would be seen otherwise, in each direction, that is
      seen of images with a class, at their centre; ImageNet's are commonly tested at
      224 / 256. Below 1, images of one size are brought to `image_size` as well.

  Raises:
    UserError: no such set or split, a missing or damaged file, images that do not fit
      into memory, or a cache that cannot be written.
  """
  recipe = derived.find(name)
  builder, task = _opened(derived.source_of(name), split, data_dir, manual_dir)
  sizing = sizing_of(
    builder.info.full_name, task, image_size, shorter_side, center_crop
  )

  def decoded() -> cache.Arrays:
    leaf = '-'.join([split, *sizing.marks])
    return _cached(builder, leaf, lambda: _decode(builder, split, task, sizing))

  description = ' '.join(builder.info.description.split())
  if recipe is None:
    return Dataset(
      name,
      split,
      *decoded(),
      task.num_classes,
      description,
      task.kind,
      task.ignore_label,
      task.class_names,
    )
  # By its version, because the code that makes it is not in the fingerprint.
  leaf = '-'.join([split, name, str(recipe.version), *sizing.marks])
  arrays = _cached(builder, leaf, lambda: _whole(recipe.make(split, *decoded())))
  description = f'{recipe.description} {description}'
  return Dataset(name, split, *arrays, recipe.num_classes, description)


def load_stream(
  name: str,
  split: str,
  data_dir: str | None = None,
  manual_dir: str | None = None,
  image_size: tuple[int, int] | None = None,
  center_crop: float = 1.0,
  crop_area: tuple[float, float] | None = None,
  limit: int | None = None,
) -> Stream:
  """A split of a set of images with classes in TFDS that is not held in memory.

  Where the set is not prepared, it is prepared first.

  Args:
    name: as for `load`, of a set that is not made from another one.
    split: such as 'train'.
    data_dir: where TFDS keeps its data sets; None is TFDS's own default.
    manual_dir: where files that were downloaded by hand lie.
    image_size: [height, width], in pixels. Without `crop_area` images are brought to
      it as in `load`, so that streaming changes nothing about them.
    center_crop: as for `load`.
    crop_area: the least and the greatest share of an image's area that a random crop
      of it shows, in place of all this; None takes no such crops.
    limit: only the first so many examples; None takes all.

  Raises:
    UserError: no such set or split, one that cannot be streamed, or shares that are
      none.
  """
  if derived.find(name):
    raise UserError(
      f'{name} is made in memory and cannot be streamed: leave data.stream=false'
    )
  builder, task = _opened(name, split, data_dir, manual_dir)
  if task.kind == 'segmentation':
    raise UserError(
      f'{name} has label maps, and only images with a class can be streamed: leave '
      'data.stream=false'
    )
  require_area(crop_area)
  sizing = sizing_of(builder.info.full_name, task, image_size, None, center_crop)
  count = builder.info.splits[split].num_examples
  return Stream(
    name,
    split,
    encoded_records(builder, split, task),
    task,
    (crop_area and image_size) or sizing.size,
    sizing.decode,
    crop_area,
    count if limit is None else min(count, limit),
    ' '.join(builder.info.description.split()),
    str(builder.data_path),
  )


def _opened(
  source: str, split: str, data_dir: str | None, manual_dir: str | None
) -> tuple[tfds.core.DatasetBuilder, prepared.Labelled]:
  """A prepared set that has a split, and what its examples are."""
  folder = folders.data_directory(data_dir)
  builder = prepared.find(source, folder) or prepare(source, folder, manual_dir)
  task = prepared.labelled(builder.info)
  if split not in builder.info.splits:
    raise UserError(
      f'{builder.info.full_name} has no split {split!r}; it has '
      f'{", ".join(builder.info.splits)}'
    )
  return builder, task


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
  builder: tfds.core.DatasetBuilder, split: str, task: prepared.Labelled, sizing: Sizing
) -> Pieces:
  """What is written to the cache of a split.

  Raises:
    UserError: there are none, or they do not fit into memory.
  """
  count = builder.info.splits[split].num_examples
  if not count:
    raise UserError(f'{builder.info.full_name} {split} has no examples')
  planes = task.shape[-1] + (task.kind == 'segmentation')  # Labels are one more.
  _check_memory(f'{builder.info.full_name} {split}', (count, *sizing.size, planes))
  return count, decoded_blocks(builder, split, task, sizing.decode)


def _whole(arrays: cache.Arrays) -> Pieces:
  """What is written to a cache of images that are in memory."""
  return len(arrays[0]), [arrays]


def _check_memory(what: str, shape: tuple[int, ...]) -> None:
  needed = math.prod(shape)
  memory = physical_memory()
  if needed > _MEMORY_SHARE * memory:
    raise UserError(
      f'{what} would take {needed / 2**30:.1f} GiB decoded to {shape[1]}x{shape[2]} '
      f'pixels, more than half of the {memory / 2**30:.1f} GiB of memory here: take a '
      'smaller image_size, a smaller set, or a larger machine'
    )
