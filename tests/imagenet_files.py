"""A small ImageNet of made-up JPEGs, in the archives that ImageNet comes in."""

import io
import os
import tarfile
import types

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.download import extractor
from tensorflow_datasets.datasets.imagenet2012 import (
  imagenet2012_dataset_builder as stock,
)
from tensorflow_datasets.datasets.imagenet2012 import imagenet_common

SYNSETS = ('n01440764', 'n02102040', 'n03394916')


def jpeg(rng, height, width):
  """Blobs of random colours, compressed as a photograph would be."""
  coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
  content = io.BytesIO()
  image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
  image.save(content, 'JPEG', quality=90)
  return content.getvalue()


def _add(archive, name, content):
  member = tarfile.TarInfo(name)
  member.size = len(content)
  archive.addfile(member, io.BytesIO(content))


def write_archives(folder, per_class, validation, sides):
  """ILSVRC2012_img_train.tar, with an archive for each class, and ..._val.tar.

  Args:
    folder: where to.
    per_class: training images.
    validation: images; their labels are those of the first ones of the real set.
    sides: the least and the greatest side, in pixels.
  """
  folder.mkdir(parents=True)
  rng = np.random.default_rng(0)

  def picture():
    return jpeg(rng, *rng.integers(*sides, 2, endpoint=True))

  with tarfile.open(folder / 'ILSVRC2012_img_train.tar', 'w') as train:
    for synset in SYNSETS:
      content = io.BytesIO()
      with tarfile.open(fileobj=content, mode='w') as images:
        for index in range(per_class):
          _add(images, f'{synset}_{index}.JPEG', picture())
      _add(train, f'{synset}.tar', content.getvalue())
  with tarfile.open(folder / 'ILSVRC2012_img_val.tar', 'w') as images:
    for index in range(1, validation + 1):
      _add(images, f'ILSVRC2012_val_{index:08}.JPEG', picture())


def prepare(data_dir, manual_dir):
  """Has TFDS's own builder read the archives, without TensorFlow.

  All that it asks TensorFlow for is whether files exist, and their lines.
  """
  files = types.SimpleNamespace(exists=os.path.exists, GFile=open)
  tensorflow = types.SimpleNamespace(io=types.SimpleNamespace(gfile=files))
  with pytest.MonkeyPatch.context() as patch:
    for module in (stock, imagenet_common, extractor):
      patch.setattr(module, 'tf', tensorflow)
    stock.Builder(data_dir=data_dir).download_and_prepare(
      file_format='array_record',
      download_config=tfds.download.DownloadConfig(
        manual_dir=manual_dir, try_download_gcs=False
      ),
    )
