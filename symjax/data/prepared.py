"""A prepared TFDS data set on disk: where it lies and what it holds."""

import dataclasses
import hashlib
import pathlib
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import read_only_builder, registered

from symjax.data import builders
from symjax.data.dataset import Kind
from symjax.errors import UserError

ARRAY_RECORD = tfds.core.FileFormat.ARRAY_RECORD


@dataclasses.dataclass(frozen=True)
class Labelled:
  """How a data set holds images and a label of each.

  Attributes:
    image: the key of the image in an example.
    label: the key of its class, count or label map.
    shape: height, width and channels; the first two are None if they vary.
    kind: as of a `Dataset`.
    num_classes: likewise.
    ignore_label: likewise.
    class_names: likewise.
  """

  image: str
  label: str
  shape: tuple[int | None, int | None, int]
  kind: Kind
  num_classes: int
  ignore_label: int | None = None
  class_names: tuple[str, ...] = ()


def find(name: str, data_dir: pathlib.Path) -> tfds.core.DatasetBuilder | None:
  """A builder that reads the latest prepared version, or None if there is none.

  The code of the data set's own builder is not needed. Of this project's sets only
  the version of the code at hand counts: an older one holds other pictures.

  Raises:
    UserError: the prepared folder is damaged or not in array_record format.
  """
  set_name, _ = builders.split_name(name)
  if set_name in builders.OWN:
    name = f'{set_name}:{builders.OWN[set_name].VERSION}'
  try:
    builder = read_only_builder.builder_from_files(name, data_dir=data_dir)
  except registered.DatasetNotFoundError:
    return None
  except Exception as error:  # Whatever reading somebody's damaged JSON may raise.
    raise UserError(
      f'the prepared data set {name} under {data_dir} cannot be read '
      f'({" ".join(str(error).split())}): delete its folder and prepare it again'
    ) from error
  if ARRAY_RECORD not in builder.info.available_file_formats():
    raise UserError(
      f'{builder.data_path} holds {builder.info.file_format.value} files, and symjax '
      'reads array_record: run `tfds convert_format --out_file_format=array_record '
      f'--dataset_version_dir={builder.data_path}` (for which pip install '
      'tensorflow-cpu apache-beam mlcroissant), or prepare it in another --data_dir'
    )
  return builder


def labelled(info: tfds.core.DatasetInfo) -> Labelled:
  """The image and the label of a data set.

  They are the supervised keys where these are an image and a class, a label map, or a
  whole number, which is a count; else the only image and the only class, or the only
  label map, among the features.

  Raises:
    UserError: the set has no image with a label, or not of 8 bits.
  """
  features = dict(getattr(info.features, 'items', dict)())  # Not every set has keys.
  supervised = [key for key in (info.supervised_keys or ())[:2] if key in features]
  keys = supervised or list(features)
  maps = [key for key in keys if isinstance(features[key], tfds.features.LabeledImage)]
  images = [
    key
    for key in keys
    if isinstance(features[key], tfds.features.Image) and key not in maps
  ]
  classes = [key for key in keys if isinstance(features[key], tfds.features.ClassLabel)]
  counts = [key for key in supervised if _is_count(features[key])]
  labels = classes or maps or counts
  if len(images) != 1 or len(labels) != 1:
    raise UserError(
      f'{info.full_name} is not a set of labelled images: it would need one image and '
      'one class label, count or label map, and has '
      f'{", ".join(features) or "no named features"}'
    )
  image, label = features[images[0]], features[labels[0]]
  if image.np_dtype != np.uint8 or (maps and label.np_dtype != np.uint8):
    raise UserError(
      f'{info.full_name} has {np.dtype(image.np_dtype).name} images; symjax reads '
      '8-bit ones'
    )
  height, width, channels = image.shape
  found = Labelled(images[0], labels[0], (height, width, channels or 3), 'counting', 1)
  if not classes and not maps:
    return found
  if label.num_classes is None:
    raise UserError(f'{info.full_name} does not tell how many classes it has')
  found = dataclasses.replace(
    found,
    kind='classification',
    num_classes=label.num_classes,
    class_names=tuple(label.names),
  )
  if classes:
    return found
  metadata: Any = info.metadata or {}
  height, width = metadata.get('image_size') or (height, width)
  return dataclasses.replace(
    found,
    kind='segmentation',
    shape=(height, width, channels or 3),
    ignore_label=metadata.get('ignore_label'),
  )


def _is_count(feature: tfds.features.FeatureConnector) -> bool:
  """Whether a feature is one whole number that is no class."""
  return type(feature) is tfds.features.Scalar and np.issubdtype(
    feature.np_dtype, np.integer
  )


def fingerprint(builder: tfds.core.DatasetBuilder) -> str:
  """16 hex digits that change when the set is prepared anew.

  They cover the descriptions of the set and the names, sizes and times of its shards;
  sizes alone are padded to 64 KiB and would often stay the same.

  Raises:
    UserError: a shard is missing.
  """
  folder = pathlib.Path(builder.data_path)
  digest = hashlib.sha256()
  for path in (folder / 'dataset_info.json', folder / 'features.json'):
    digest.update(path.read_bytes())
  for split in sorted(builder.info.splits):
    for shard in map(pathlib.Path, builder.info.splits[split].filepaths):
      try:
        status = shard.stat()
      except OSError:
        raise UserError(
          f'{shard} is missing: delete {folder} and prepare the set again'
        ) from None
      digest.update(f'{shard.name} {status.st_size} {status.st_mtime_ns}\n'.encode())
  return digest.hexdigest()[:16]
