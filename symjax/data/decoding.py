"""The records of a prepared split, decoded in threads."""

import concurrent.futures
import functools
import io
import os
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image, ImageOps

from symjax.data.prepared import ARRAY_RECORD, Labelled
from symjax.errors import UserError
from symjax.progress import progress

_BLOCK = 512  # Records in memory at a time.
_MODES = {1: 'L', 3: 'RGB', 4: 'RGBA'}


def decoded_blocks(
  builder: tfds.core.DatasetBuilder,
  split: str,
  task: Labelled,
  image_size: int | None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Decodes a split, block by block and in its order.

  Args:
    builder: reads the prepared set.
    split: one of its splits.
    task: where image and label are in an example.
    image_size: None to keep the images, all of one size, as they are; else each is
      resized, antialiased, until its short side has so many pixels, and cropped to
      the square at its centre.

  Yields:
    uint8 images [examples, height, width, channels] and int32 labels [examples].

  Raises:
    UserError: a record is damaged.
  """
  decode = functools.partial(
    decode_image, channels=task.shape[-1], image_size=image_size
  )
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    start = 0
    try:
      source = builder.as_data_source(
        split,
        decoders={task.image: tfds.decode.SkipDecoding()},
        file_format=ARRAY_RECORD,
      )
      job = f'decoding {builder.info.full_name} {split}'
      for start in progress(range(0, len(source), _BLOCK), job):
        indices = list(range(start, min(start + _BLOCK, len(source))))
        examples = source.__getitems__(indices)
        images = np.stack(
          list(pool.map(decode, [example[task.image] for example in examples]))
        )
        labels = np.array([example[task.label] for example in examples], np.int32)
        yield images, labels
    except Exception as error:  # Whatever reading damaged records may raise.
      raise UserError(
        f'{builder.data_path} is damaged: split {split}, near example {start} '
        f'({type(error).__name__}: {" ".join(str(error).split())}); delete that '
        'folder and prepare the set again'
      ) from error


def decode_image(encoded: bytes, channels: int, image_size: int | None) -> np.ndarray:
  """One image as uint8 [height, width, channels]; see `decoded_blocks`."""
  with Image.open(io.BytesIO(encoded)) as image:
    converted = image.convert(_MODES[channels])
  if image_size is not None:
    square = (image_size, image_size)
    converted = ImageOps.fit(converted, square, Image.Resampling.BICUBIC)
  return np.asarray(converted).reshape(converted.height, converted.width, channels)
