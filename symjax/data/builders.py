"""TFDS builders by name: this project's own and the stock ones."""

import contextlib
import difflib
import io
import pathlib

import tensorflow_datasets as tfds
from tensorflow_datasets.core import naming

from symjax.data.camvid import Camvid
from symjax.data.coco_voc import CocoVoc
from symjax.data.derived import DERIVED
from symjax.data.rendered_counts import RenderedCounts
from symjax.data.rendered_digits import RenderedDigits
from symjax.data.voc_segmentation import VocSegmentation
from symjax.errors import UserError

OWN = {
  cls.name: cls
  for cls in (Camvid, CocoVoc, RenderedCounts, RenderedDigits, VocSegmentation)
}

INSTALL_PREPARE = (
  "pip install 'symjax[prepare]' (from a clone: pip install -e '.[prepare]')"
)


def split_name(name: str) -> tuple[str, dict[str, str]]:
  """A TFDS name such as `set/config:1.0.0` as the set's name and its keywords.

  Raises:
    UserError: the name does not have that form.
  """
  try:
    parsed, keywords = naming.parse_builder_name_kwargs(name)
    well_formed = keywords.keys() <= {'config', 'version'}
  except ValueError:
    well_formed = False
  if not well_formed:
    raise UserError(
      f'{name!r} is not the name of a data set: write it as TFDS does, `name`, '
      '`name/config` or `name/config:version`'
    )
  return str(parsed), keywords


def make_builder(name: str, data_dir: pathlib.Path) -> tfds.core.DatasetBuilder:
  """The builder that can prepare a data set under `data_dir`.

  Raises:
    UserError: there is no such data set, config or version, or its builder needs
      TensorFlow even to be constructed and that is absent.
  """
  set_name, keywords = split_name(name)
  # Names of community sets would make TFDS dial out.
  known = tfds.list_builders(with_community_datasets=False)
  if set_name not in known:
    raise UserError(
      f'unknown data set {set_name!r}{_hint(set_name, [*known, *DERIVED])}; symjax '
      f'has {", ".join((*OWN, *DERIVED))}, and TFDS names are at '
      'https://www.tensorflow.org/datasets/catalog'
    )
  cls = tfds.builder_cls(set_name)
  config = keywords.get('config')
  if config is not None and config not in cls.builder_configs:
    choices = list(cls.builder_configs)
    raise UserError(
      f'the data set {set_name!r} has no config {config!r}'
      f'{_hint(config, choices) or f"; it has {_some(choices)}"}'
    )
  try:
    # TFDS announces a missing TensorFlow in five lines of its own.
    with contextlib.redirect_stderr(io.StringIO()):
      return cls(data_dir=data_dir, **keywords)
  except ImportError as error:
    raise UserError(
      f'the builder of {set_name} needs more than is installed ({error}): '
      f'{INSTALL_PREPARE}'
    ) from None
  except AssertionError as error:  # TFDS's answer to a version that it cannot make.
    raise UserError(' '.join(str(error).split())) from None


def _hint(name: str, known: list[str]) -> str:
  close = difflib.get_close_matches(name, known, n=4)
  return f'; did you mean {" or ".join(close)}?' if close else ''


def _some(choices: list[str]) -> str:
  shown = ', '.join(choices[:6]) or 'none'
  return f'{shown}, ...' if len(choices) > 6 else shown
