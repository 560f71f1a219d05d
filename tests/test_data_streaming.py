import dataclasses
import math
import multiprocessing
import os
import signal
import subprocess
import sys

import imagenet_files as files
import numpy as np
import pytest
from PIL import Image
from scipy import stats

from symjax import data
from symjax.data import streaming
from symjax.data.resized_crop import Box, draw_box, resize_box
from symjax.data.stream import Records
from symjax.errors import UserError

AREA = (0.08, 1.0)


@pytest.fixture(scope='module')
def places(tmp_path_factory):
  """Where a small ImageNet is prepared, from archives as ImageNet has them."""
  folder = tmp_path_factory.mktemp('imagenet')
  files.write_archives(folder / 'manual', per_class=7, validation=5, sides=(40, 90))
  files.prepare(folder / 'data', folder / 'manual')
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('XDG_CACHE_HOME', str(folder / 'user'))
    yield str(folder / 'data'), None


@pytest.fixture
def one_worker(monkeypatch):
  """Starting a process takes seconds."""
  monkeypatch.setattr(os, 'sched_getaffinity', lambda process: {0})


def stream(places, **options):
  return data.load_stream(
    'imagenet2012', 'train', *places, image_size=(24, 32), **options
  )


def test_a_stream_tells_what_it_holds(places):
  found = stream(places, crop_area=AREA)
  assert (len(found), found.image_shape, found.num_classes) == (21, (24, 32, 3), 1000)
  assert (found.kind, found.name) == ('classification', 'imagenet2012')
  assert len(stream(places, limit=4)) == 4


def test_streaming_changes_neither_order_nor_images(places):
  """Without crops, batches are those of the split in memory, from any step on."""
  loaded = data.load('imagenet2012', 'train', *places, image_size=(24, 32))
  streamed = data.training_batches(stream(places), 6, 1, 2, 8)
  expected = data.training_batches(loaded, 6, 1, 2, 8)
  for one, other in zip(streamed, expected, strict=True):
    assert {name: array.dtype for name, array in one.items()} == {
      'image': np.uint8,
      'label': np.int32,
    }
    for name in other:
      np.testing.assert_array_equal(one[name], other[name])


def test_crops_depend_neither_on_processes_nor_on_the_first_step(places, one_worker):
  cropped = stream(places, crop_area=AREA)
  whole = [cropped.batch(8, 3, step, slice(0, 8)) for step in range(7)]
  second = data.training_batches(cropped, 8, 3, 4, 7, 1, 2)
  for expected, found in zip(whole[4:], second, strict=True):
    for name in expected:
      np.testing.assert_array_equal(found[name], expected[name][4:])
  # Epochs of 21 images: the same image is seen again, in another crop.
  other = cropped.batch(8, 4, 0, slice(0, 8))
  assert not np.array_equal(other['image'], whole[0]['image'])


def test_crops_of_an_image_differ_from_epoch_to_epoch(places):
  single = stream(places, crop_area=AREA, limit=1)
  batch = single.batch(6, 0, 0, slice(0, 6))
  assert len({image.tobytes() for image in batch['image']}) == 6
  assert len(set(batch['label'])) == 1


def test_boxes_lie_in_the_image_and_are_drawn_as_published():
  """Uniform in area, in the logarithm of the aspect, and in place."""
  rng, side = np.random.default_rng(0), 4000
  boxes = [draw_box(rng, side, side, (0.1, 0.5)) for _ in range(4000)]
  top, left, height, width = np.array(boxes).T
  assert (top >= 0).all() and (top + height <= side).all()
  assert (left >= 0).all() and (left + width <= side).all()
  area, aspect = height * width / side**2, np.log(width / height)
  limit = math.log(4 / 3)
  assert stats.kstest(area, stats.uniform(0.1, 0.4).cdf).pvalue > 1e-3
  assert stats.kstest(aspect, stats.uniform(-limit, 2 * limit).cdf).pvalue > 1e-3
  for start, size in ((top, height), (left, width)):
    place = start / (side - size)
    assert stats.kstest(place, stats.uniform(0, 1).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
  ('shape', 'box'),
  [
    ((1000, 10), Box(493, 0, 13, 10)),  # Taller than 4:3: all of its width.
    ((10, 1000), Box(0, 493, 10, 13)),
    ((1, 1), Box(0, 0, 1, 1)),
  ],
)
def test_an_image_that_no_draw_fits_shows_its_centre(shape, box):
  assert draw_box(np.random.default_rng(0), *shape, (0.9, 1.0)) == box


def test_only_what_is_in_the_box_is_seen():
  pixels = np.zeros((20, 30, 3), np.uint8)
  pixels[5:13, 7:19] = 200
  part = resize_box(Image.fromarray(pixels), Box(5, 7, 8, 12), (6, 9))
  assert (np.asarray(part) == 200).all() and part.size == (9, 6)


@pytest.mark.parametrize(
  'area', [(0.0, 1.0), (0.5, 0.2), (0.5, 1.5), (0.3,), ('a', 1), (True, True)]
)
def test_shares_that_are_none_are_refused(places, area):
  with pytest.raises(UserError, match='data.crop_area=.*such as 0.08,1.0'):
    stream(places, crop_area=area)


def test_sets_that_cannot_be_streamed_are_named(places):
  with pytest.raises(UserError, match='rotated_mnist is made in memory and cannot'):
    data.load_stream('rotated_mnist', 'train', *places)
  with pytest.raises(UserError, match="has no split 'test'; it has train, validation"):
    data.load_stream('imagenet2012', 'test', *places)


def test_batches_that_wait_take_an_eighth_of_the_memory_at_most(places, monkeypatch):
  batch = 3 * 24 * 32 * 3
  monkeypatch.setattr(os, 'sched_getaffinity', lambda process: set(range(100)))
  for memory, expected in ((8 * 3 * batch * 5, 5), (10**12, 64), (1, 1)):
    monkeypatch.setattr(streaming, 'physical_memory', lambda memory=memory: memory)
    assert streaming.loader_processes(stream(places), slice(0, 3)) == expected


@dataclasses.dataclass(frozen=True)
class Failing:
  """Records behind a network that fails, or too many."""

  error: Exception

  def __getitems__(self, indices):
    raise self.error


@pytest.mark.parametrize('error', [MemoryError(), OSError(5, 'Input/output error')])
def test_trouble_of_the_machine_is_not_laid_on_the_records(places, error):
  failing = dataclasses.replace(stream(places), records=Failing(error))
  with pytest.raises(type(error)):
    failing.batch(2, 0, 0, slice(0, 2))


@dataclasses.dataclass(frozen=True)
class Torn:
  """Records of which one is cut short."""

  records: Records

  def __getitems__(self, indices):
    found = [dict(record) for record in self.records.__getitems__(indices)]
    for index, record in zip(indices, found, strict=True):
      if index == 3:
        record['image'] = record['image'][:200]
    return found


def test_a_damaged_record_is_one_line(places, one_worker):
  whole = stream(places)
  torn = dataclasses.replace(whole, records=Torn(whole.records), num_examples=7)
  message = 'a record of imagenet2012 train in .* is damaged, one of 0'
  with pytest.raises(UserError, match=message) as e:
    list(data.training_batches(torn, 7, 0, 0, 3))
  assert '\n' not in str(e.value)


def test_a_process_that_dies_is_one_line(places, one_worker):
  batches = data.training_batches(stream(places), 2, 0, 0, 1000)
  next(batches)
  children = multiprocessing.active_children()
  assert children
  for child in children:
    os.kill(child.pid, signal.SIGKILL)
  with pytest.raises(UserError, match='a process that decodes images .* died') as e:
    list(batches)
  assert '\n' not in str(e.value)


def test_leaving_early_ends_the_processes(places, one_worker):
  batches = data.training_batches(stream(places), 2, 0, 0, 1000)
  next(batches)
  assert multiprocessing.active_children()
  batches.close()
  assert not multiprocessing.active_children()


PARENT = """
import os, signal, sys
from symjax import data

if __name__ == '__main__':
  stream = data.load_stream('imagenet2012', 'train', sys.argv[1], image_size=(8, 8))
  next(data.training_batches(stream, 2, 0, 0, 1000))
  os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_process_outlives_a_run_that_is_killed(places, tmp_path):
  """They hold what it wrote to: its end is reached when the last of them is gone."""
  script = tmp_path / 'parent.py'
  script.write_text(PARENT)
  ended = subprocess.run(
    [sys.executable, script, places[0]], capture_output=True, timeout=120, check=False
  )
  assert ended.returncode == -signal.SIGKILL
