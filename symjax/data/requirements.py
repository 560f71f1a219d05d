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


@dataclasses.dataclass(frozen=True)
class RequiredFile:
  """A file that a data set is prepared from.

  Attributes:
    name: under which it is looked for in `manual_dir`.
    url: where it is published.
    size: in bytes.
    sha256: of its content, in hex.
    path: where it lies, or None if it is missing.
    intact: whether the file at `path` has this size and sha256.
  """

  name: str
  url: str
  size: int
  sha256: str
  path: pathlib.Path | None
  intact: bool


def required_files(
  builder: tfds.core.DatasetBuilder, data_dir: pathlib.Path, manual_dir: str | None
) -> list[RequiredFile]:
  """The files a builder asks for, sought where TFDS seeks them.

  That is in `manual_dir` under the registered name, then in `<data_dir>/downloads`
  under the name that TFDS gives to what it downloads. Files found are read in full to
  check their sha256. A file that TFDS knows no sha256 of is not listed.
  """
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


def _is_intact(path: pathlib.Path, size: int, sha256: str) -> bool:
  if path.stat().st_size != size:
    return False
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest() == sha256
