"""The files that preparing a data set takes, and which of them are at hand."""

import contextlib
import dataclasses
import hashlib
import io
import pathlib
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import resource

from symjax.data.folders import manual_directory
from symjax.data.packed import Source
from symjax.data.segmentation import SegmentationBuilder


@dataclasses.dataclass(frozen=True)
class RequiredFile:
  """A file that a data set is prepared from.

  Attributes:
    name: under which it is looked for in `manual_dir`; of an archive, also what it
      unpacks to.
    url: where it is published.
    size: in bytes; None where any will do.
    sha256: of its content, in hex; likewise.
    path: where it lies, or what it was unpacked to; None if it is missing.
    intact: whether the file at `path` has this size and sha256, if there are such.
  """

  name: str
  url: str
  size: int | None
  sha256: str | None
  path: pathlib.Path | None
  intact: bool


def required_files(
  builder: tfds.core.DatasetBuilder, data_dir: pathlib.Path, manual_dir: str | None
) -> list[RequiredFile]:
  """The files a builder asks for, sought where TFDS seeks them.

  That is in `manual_dir` under the registered name, then in `<data_dir>/downloads`
  under the name that TFDS gives to what it downloads. Files found are read in full to
  check their sha256. A file that TFDS knows no sha256 of is not listed. The files of
  this project's own sets are sought in `manual_dir` only.
  """
  if isinstance(builder, SegmentationBuilder):
    manual = manual_directory(data_dir, manual_dir)
    return [_required(source, manual) for source in builder.SOURCES]
  infos = builder.url_infos or {}
  urls = [url for url in requested_urls(builder) if url in infos] or list(infos)
  files = []
  for url in urls:
    name = infos[url].filename or url.split('?')[0].rsplit('/', 1)[-1]
    size, sha256 = int(infos[url].size), infos[url].checksum
    cached = resource.get_dl_fname(url, sha256)
    downloads = data_dir / 'downloads'
    places = [
      manual_directory(data_dir, manual_dir) / name,
      downloads / builder.name / cached,
      downloads / cached,
    ]
    path = next((place for place in places if place.is_file()), None)
    intact = path is not None and _is_intact(path, size, sha256)
    files.append(RequiredFile(name, url, size, sha256, path, intact))
  return files


def _required(source: Source, manual: pathlib.Path) -> RequiredFile:
  """What a source is read from: what was unpacked, else the archive."""
  unpacked = manual / source.path
  if unpacked.exists():
    return RequiredFile(source.path, source.url, None, None, unpacked, True)
  if source.archive is None:
    return RequiredFile(source.path, source.url, None, None, None, False)
  name = f'{source.path}/ or {source.archive}'
  path = manual / source.archive
  found = path if path.is_file() else None
  intact = found is not None and _is_intact(path, source.size, source.sha256)
  return RequiredFile(name, source.url, source.size, source.sha256, found, intact)


def requested_urls(builder: tfds.core.DatasetBuilder) -> list[str]:
  """What a builder would download for its config, found without downloading.

  The registered checksums cover all configs of a set; so the builder is asked, with a
  download manager that notes the requests and answers with paths that do not exist.
  """
  notes = _Notes()
  # Most builders go on to read what they think was downloaded, some by TensorFlow,
  # and fail, each in its own way and some with a notice: by then they have asked.
  with (
    contextlib.suppress(Exception),
    contextlib.redirect_stderr(io.StringIO()),
    contextlib.redirect_stdout(io.StringIO()),
  ):
    builder._split_generators(notes)
  return list(dict.fromkeys(notes.urls))


class _Notes:
  """Stands in for TFDS's download manager."""

  def __init__(self) -> None:
    self.urls: list[str] = []
    self.manual_dir = self.download_dir = pathlib.Path('/nonexistent')

  def download(self, requests: Any) -> Any:
    if isinstance(requests, dict):
      return {key: self.download(value) for key, value in requests.items()}
    if isinstance(requests, list | tuple):
      return [self.download(value) for value in requests]
    self.urls.append(getattr(requests, 'url', requests))
    return self.download_dir / str(len(self.urls))

  download_and_extract = download

  def extract(self, paths: Any) -> Any:
    return paths

  def iter_archive(self, path: Any) -> Any:
    del path
    return iter(())


def _is_intact(path: pathlib.Path, size: int | None, sha256: str | None) -> bool:
  if path.stat().st_size != size:
    return False
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest() == sha256
