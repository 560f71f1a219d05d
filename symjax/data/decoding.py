"""The records of a prepared split, decoded in threads."""

import concurrent.futures
import io
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image, ImageOps

from symjax.data.canvas import Canvas
from symjax.data.label_maps import unknown_label
from symjax.data.prepared import ARRAY_RECORD, Labelled
from symjax.data.resized_crop import draw_box, resize_box
from symjax.errors import UserError
from symjax.progress import progress

_BLOCK = 512  # Records in memory at a time.
_MODES = {1: 'L', 3: 'RGB', 4: 'RGBA'}

# An example, its images still encoded, to the image and the label as arrays.
Decode = Callable[[Mapping[str, Any]], tuple[np.ndarray, np.ndarray]]


def decoded_blocks(
  builder: tfds.core.DatasetBuilder, split: str, task: Labelled, decode: Decode
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Decodes a split, block by block and in its order.

  Args:
    builder: reads the prepared set.
    split: one of its splits.
    task: where image and label are in an example.
    decode: of one example; the images come out in one size.

  Yields:
    Images [examples, height, width, channels] and labels [examples, ...].

  Raises:
    UserError: a record is damaged.
  """
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    start = 0
    try:
      source = encoded_records(builder, split, task)
      job = f'decoding {builder.info.full_name} {split}'
      for start in progress(range(0, len(source), _BLOCK), job):
        indices = list(range(start, min(start + _BLOCK, len(source))))
        pairs = list(pool.map(decode, source.__getitems__(indices)))
        images, labels = zip(*pairs, strict=True)
        yield np.stack(images), np.stack(labels)
    except UserError:
      raise
    except Exception as error:  # Whatever reading damaged records may raise.
      raise UserError(
        f'{builder.data_path} is damaged: split {split}, near example {start} '
        f'({type(error).__name__}: {" ".join(str(error).split())}); delete that '
        'folder and prepare the set again'
      ) from error


def encoded_records(
  builder: tfds.core.DatasetBuilder, split: str, task: Labelled
) -> Any:
  """The examples of a split by their places, images and label maps still encoded."""
  encoded = (task.image, task.label) if task.kind == 'segmentation' else (task.image,)
  return builder.as_data_source(
    split,
    decoders={key: tfds.decode.SkipDecoding() for key in encoded},
    file_format=ARRAY_RECORD,
  )


def decode_labelled(
  example: Mapping[str, Any],
  task: Labelled,
  size: tuple[int, int] | None,
  center_crop: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
  """The image, uint8 [height, width, channels], and the class or count, int32 [].

  Args:
    example: its image still encoded.
    task: where image and label are.
    size: None to keep the image as it is; else it is resized, antialiased, until it
      covers so large a rectangle, [height, width], and cropped to that at its centre.
    center_crop: the share of what would be seen so, in each direction, that is seen.
  """
  image = decode_image(example[task.image], task.shape[-1], size, center_crop)
  return image, np.asarray(example[task.label], np.int32)


def decode_cropped(
  example: Mapping[str, Any],
  task: Labelled,
  size: tuple[int, int],
  area: tuple[float, float],
  rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
  """A random part of the image, resized, and the class or count, as `decode_labelled`.

  Args:
    example: its image still encoded.
    task: where image and label are.
    size: [height, width] of the result, in pixels.
    area: the least and the greatest share of the image's area.
    rng: draws the part.
  """
  channels = task.shape[-1]
  image = _opened(example[task.image], _MODES[channels])
  part = resize_box(image, draw_box(rng, image.height, image.width, area), size)
  pixels = np.asarray(part).reshape(*size, channels)
  return pixels, np.asarray(example[task.label], np.int32)


def decode_segmented(
  example: Mapping[str, Any], task: Labelled, canvas: Canvas | None
) -> tuple[np.ndarray, np.ndarray]:
  """The image, uint8 [height, width, channels], and its labels, uint8 [height, width].

  Args:
    example: image and label map still encoded.
    task: where they are, and what the labels are.
    canvas: None to keep both as they are; else they are put there.

  Raises:
    UserError: the canvas shows, and the set has no label for that.
    ValueError: they differ in size, or a label is no class.
  """
  image = _opened(example[task.image], _MODES[task.shape[-1]])
  labels = _opened(example[task.label], None)
  if image.size != labels.size:
    raise ValueError(f'an image of {image.size} pixels with {labels.size} labels')
  strange = unknown_label(np.asarray(labels), task.num_classes, task.ignore_label)
  if strange is not None:
    raise ValueError(f'label {strange} among those of {task.num_classes} classes')
  if canvas is None:
    pixels = np.asarray(image).reshape(image.height, image.width, task.shape[-1])
    return pixels, np.asarray(labels)
  return canvas.place(image, labels, task.ignore_label)


def decode_image(
  encoded: bytes,
  channels: int,
  size: tuple[int, int] | None,
  center_crop: float = 1.0,
) -> np.ndarray:
  """One image as uint8 [height, width, channels]; see `decode_labelled`."""
  image = _opened(encoded, _MODES[channels])
  if size is not None:
    height, width = (round(side / center_crop) for side in size)
    image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
    left, top = (width - size[1]) // 2, (height - size[0]) // 2
    image = image.crop((left, top, left + size[1], top + size[0]))
  return np.asarray(image).reshape(image.height, image.width, channels)


def _opened(encoded: bytes, mode: str | None) -> Image.Image:
  """A decoded image; of the given mode, or of its own."""
  with Image.open(io.BytesIO(encoded)) as image:
    image.load()
    return image if mode is None else image.convert(mode)
