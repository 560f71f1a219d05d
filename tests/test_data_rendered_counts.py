"""Scenes whose number of heads is the label."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from symjax import data
from symjax.data import count_images, rendered_counts
from symjax.data.rendered_counts import rendered_count

SIZES = {'train': 40, 'test': 12}


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  """A small prepared set."""
  folder = tmp_path_factory.mktemp('counts')
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(rendered_counts, 'NUM_EXAMPLES', SIZES)
    rendered_counts.RenderedCounts(data_dir=folder).download_and_prepare(
      file_format='array_record',
      download_config=tfds.download.DownloadConfig(try_download_gcs=False),
    )
  return str(folder)


@pytest.fixture(scope='module')
def sample():
  """400 pictures and their counts."""
  return [rendered_count('train', i) for i in range(400)]


def test_a_picture_depends_on_nothing_but_split_and_index():
  def drawn(split, indices):
    return [rendered_count(split, i) for i in indices]

  forth = drawn('train', range(6))
  drawn('test', range(3))
  back = drawn('train', reversed(range(6)))[::-1]
  for (picture, count), (same, same_count) in zip(forth, back, strict=True):
    assert picture.tobytes() == same.tobytes() and count == same_count
  pictures = {p.tobytes() for p, _ in forth + drawn('test', range(6))}
  assert len(pictures) == 12


def test_counts_are_about_uniform(sample):
  counts = np.bincount([count for _, count in sample])
  assert len(counts) == count_images.MOST + 1
  # Six standard deviations of a count of 40.
  assert abs(counts - 40).max() < 6 * np.sqrt(40 * 0.9)


def test_of_every_head_half_is_seen_and_the_near_ones_are_larger():
  rng = np.random.default_rng(0)
  for count in (0, 1, 5, 9, 9, 9):
    heads = count_images.place_heads(rng, count)
    assert len(heads) == count
    radii = [radius for _, _, radius in heads]
    assert radii == sorted(radii)
    assert all(share >= count_images.SEEN for share in count_images.seen_shares(heads))


def test_what_is_seen_of_a_head_is_what_nearer_people_do_not_hide():
  """Two heads side by side by half a width: the lens of two discs, in closed form."""
  far, near = (20.0, 15.0, 7.0), (27.0, 15.0, 7.0)
  d = 1.0  # Distance of the centres, in radii; ellipses are discs, stretched.
  lens = 2 * np.arccos(d / 2) - d / 2 * np.sqrt(4 - d**2)
  shares = count_images.seen_shares([far, near])
  assert shares[1] == 1
  # The near one's shoulders begin 2.6 * 7 - 1.25 * 10.5 = 5.1 pixels below its centre.
  bare = 1 - lens / np.pi
  assert bare - 0.2 < shares[0] < bare + 0.02
  beside = count_images.seen_shares([far, (45.0, 15.0, 3.0)])
  assert beside == [1, 1]
  assert count_images.seen_shares([(20.0, 15.0, 3.0), (20.0, 15.0, 7.0)]) == [0, 1]


def test_more_heads_make_a_rougher_picture(sample):
  """The label is in the picture: what neighbouring rows differ by grows with it."""
  roughness = [[] for _ in range(10)]
  for picture, count in sample:
    levels = np.asarray(picture.resize((24, 24)), float)
    roughness[count].append(np.abs(np.diff(levels, axis=0)).mean())
  means = [np.mean(values) for values in roughness]
  assert np.corrcoef(means, range(10))[0, 1] > 0.9


@pytest.mark.parametrize('split', SIZES)
def test_labels_are_counts_in_one_set_and_classes_in_its_twin(data_dir, split):
  counts = data.load('rendered_counts', split, data_dir)
  classes = data.load('rendered_count_classes', split, data_dir)
  assert (counts.kind, counts.num_classes) == ('counting', 1)
  assert (classes.kind, classes.num_classes) == ('classification', 10)
  assert counts.images.shape == (SIZES[split], 48, 48, 3)
  assert (counts.images == classes.images).all()
  for i, (image, label) in enumerate(zip(counts.images, counts.labels, strict=True)):
    picture, count = rendered_count(split, i)
    assert (image == np.asarray(picture)).all()
    assert label == count == classes.labels[i]
