"""A training split that is not held in memory: its images are decoded when needed."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from symjax.data.dataset import Kind
from symjax.data.decoding import Decode, decode_cropped
from symjax.data.order import batch_indices
from symjax.data.prepared import Labelled
from symjax.errors import UserError

_CROPS = 1  # Ends their seeds, and tells them from those of the order of examples.


class Records(Protocol):
  """Examples whose images are still encoded."""

  def __getitems__(self, indices: Sequence[int]) -> Sequence[Mapping[str, Any]]:
    """Several of them at once."""
    ...


@dataclasses.dataclass(frozen=True)
class Stream:
  """A training split whose images are decoded as they are needed.

  It can be pickled for other processes: that takes the place of the records along,
  not the records.

  Attributes:
    name: of the data set, as TFDS writes it.
    split: such as 'train'.
    records: of the split.
    task: where image and label are in a record.
    size: [height, width] of the images, in pixels.
    decode: makes arrays of a record, the image in this size.
    crop_area: the least and the greatest share of an image's area that a random crop
      of it shows, as in `symjax.data.resized_crop`, in place of `decode`; None leaves
      images whole.
    num_examples: the first so many of the records count.
    description: what the prepared data say of themselves, in one line.
    folder: of the prepared set.
  """

  name: str
  split: str
  records: Records
  task: Labelled
  size: tuple[int, int]
  decode: Decode
  crop_area: tuple[float, float] | None
  num_examples: int
  description: str
  folder: str

  def __len__(self) -> int:
    """The number of examples."""
    return self.num_examples

  @property
  def image_shape(self) -> tuple[int, int, int]:
    """[height, width, channels] of every image."""
    return (*self.size, self.task.shape[-1])

  @property
  def num_classes(self) -> int:
    """As of a `Dataset`."""
    return self.task.num_classes

  @property
  def kind(self) -> Kind:
    """As of a `Dataset`."""
    return self.task.kind

  def batch(
    self, batch_size: int, seed: int, step: int, block: slice
  ) -> dict[str, np.ndarray]:
    """A part of global training batch `step`.

    What is drawn for an example depends on the seed and on its place in the stream of
    all training examples, and so neither on the number of processes nor on where
    training was interrupted.

    Args:
      batch_size: of the global batch.
      seed: of the order of examples, and of their crops.
      step: of the batch.
      block: the part of it.

    Returns:
      'image': uint8 [part, height, width, channels], 'label': int32 [part].

    Raises:
      UserError: a record is damaged.
    """
    indices = batch_indices(len(self), batch_size, seed, step)[block].tolist()
    places = range(step * batch_size + block.start, step * batch_size + block.stop)
    try:
      records = self.records.__getitems__(indices)
      pairs = [
        self._decode(record, [seed, place, _CROPS])
        for record, place in zip(records, places, strict=True)
      ]
    except Exception as error:  # Whatever reading damaged records may raise.
      if isinstance(error, MemoryError) or getattr(error, 'errno', None):
        raise  # The machine's trouble, not the records'.
      raise UserError(
        f'a record of {self.name} {self.split} in {self.folder} is damaged, one of '
        f'{", ".join(map(str, sorted(indices)[:8]))}{", ..." * (len(indices) > 8)} '
        f'({type(error).__name__}: {" ".join(str(error).split())}); delete that folder '
        'and prepare the set again'
      ) from error
    images, labels = zip(*pairs, strict=True)
    return {'image': np.stack(images), 'label': np.stack(labels)}

  def _decode(
    self, record: Mapping[str, Any], seed: list[int]
  ) -> tuple[np.ndarray, np.ndarray]:
    if self.crop_area is None:
      return self.decode(record)
    rng = np.random.default_rng(seed)
    return decode_cropped(record, self.task, self.size, self.crop_area, rng)
