"""What data sets of images and label maps share, in the form of TFDS."""

import abc
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from symjax.data import label_maps
from symjax.data.label_maps import LabelledImage
from symjax.data.packed import Files, Source
from symjax.errors import UserError

_NAMED = 3  # So many of the files that are missing.


class SegmentationBuilder(tfds.core.GeneratorBasedBuilder):
  """A TFDS builder of images and label maps, from files that a person downloads.

  It needs no TensorFlow. Examples keep the order of their lists. The description of
  the prepared set tells the label to ignore and, if all images have one size, that.

  Attributes:
    DESCRIPTION: of the set, in one line.
    CLASS_NAMES: in the order of their labels.
    IGNORE_LABEL: of pixels that have no class.
    SOURCES: what it is made from.
    LIBRARIES: modules that preparing it takes, of the `prepare` extra.
  """

  DESCRIPTION: ClassVar[str]
  CLASS_NAMES: ClassVar[tuple[str, ...]]
  IGNORE_LABEL: ClassVar[int]
  SOURCES: ClassVar[tuple[Source, ...]]
  LIBRARIES: ClassVar[tuple[str, ...]] = ()
  # Without which TFDS hands out no `manual_dir`.
  MANUAL_DOWNLOAD_INSTRUCTIONS = 'python -m run.data --config=... lists the files.'

  @abc.abstractmethod
  def splits(self, manual_dir: pathlib.Path) -> Mapping[str, Iterator[LabelledImage]]:
    """Name of a split -> its examples.

    Raises:
      UserError: what is missing or empty, before the first example is read.
    """

  def _info(self) -> tfds.core.DatasetInfo:
    features = {
      'image': tfds.features.Image(shape=(None, None, 3)),
      'segmentation_mask': tfds.features.LabeledImage(
        labels=list(self.CLASS_NAMES), shape=(None, None, 1)
      ),
    }
    return tfds.core.DatasetInfo(
      builder=self,
      description=self.DESCRIPTION,
      features=tfds.features.FeaturesDict(features),
      supervised_keys=('image', 'segmentation_mask'),
      metadata=tfds.core.MetadataDict(ignore_label=self.IGNORE_LABEL),
      # So that example i of a split is line i of its list.
      disable_shuffling=True,
    )

  def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
    splits = self.splits(pathlib.Path(dl_manager.manual_dir))
    return {
      name: self._generate_examples(examples) for name, examples in splits.items()
    }

  def _generate_examples(
    self, examples: Iterator[LabelledImage]
  ) -> Iterator[tuple[int, dict[str, bytes]]]:
    metadata: Any = self.info.metadata
    for index, example in enumerate(examples):
      label_maps.check(example, len(self.CLASS_NAMES), self.IGNORE_LABEL)
      size = list(example.labels.shape)
      if metadata.setdefault('image_size', size) != size:
        metadata['image_size'] = None
      labels = label_maps.encode_label_map(example.labels)
      yield index, {'image': example.image, 'segmentation_mask': labels}


def read_list(path_name: str, files: Files) -> list[str]:
  """The lines of a split file that are not empty.

  Raises:
    UserError: there is no such file, or it names nothing.
  """
  require(files, [path_name], str(files.place))
  text = files.read(path_name).decode('utf-8', errors='replace')
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  if not lines:
    raise UserError(f'{files.place}/{path_name} names no images: the split is empty')
  return lines


def require(files: Files, names: Sequence[str], needed_by: str) -> None:
  """Returns if all files are there.

  Raises:
    UserError: some are missing; it names the first of them, and how many they are.
  """
  missing = [name for name in names if not files.contains(name)]
  if missing:
    more = ', ...' if len(missing) > _NAMED else ''
    raise UserError(
      f'{needed_by} needs {len(names)} files of {files.place}, of which '
      f'{len(missing)} are missing: {", ".join(missing[:_NAMED])}{more}'
    )


def read_pairs(
  files: Files, pairs: Sequence[tuple[str, str]]
) -> Iterator[LabelledImage]:
  """The examples of pairs of an image's and a label map's paths."""
  for image, labels in pairs:
    name, labels_name = f'{files.place}/{image}', f'{files.place}/{labels}'
    yield LabelledImage(
      name,
      files.read(image),
      label_maps.read_label_map(files.read(labels), labels_name),
      labels_name,
    )
