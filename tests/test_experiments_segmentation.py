"""Evaluations of segmenters whose consistencies are known beforehand."""

import json
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from run import command
from symjax import figures
from symjax.data import Dataset
from symjax.errors import UserError
from symjax.experiments.evaluation import evaluation_table, report_evaluation
from symjax.experiments.evaluation.measures import (
  SHIFTS,
  shift_name,
  views_of_pixels,
)
from symjax.experiments.subject import Subject
from symjax.training.images import Normalization
from symjax.training.segmentation import Segmentation

COUNT, HEIGHT, WIDTH = 11, 6, 10  # Not a multiple of the batch of 8.
IGNORED = 9
NAMES = ('road', 'sky', 'tree', 'never')  # The last one is in no image.
SHIFTED = ((0, 1), (-2, 3))
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (COUNT, HEIGHT, WIDTH, 3), np.uint8)
TRUTH = IMAGES.argmax(-1).astype(np.uint8)
LABELS = np.where(RNG.random(TRUTH.shape) < 0.3, (TRUTH + 1) % 3, TRUTH)
LABELS[RNG.random(TRUTH.shape) < 0.4] = IGNORED
LABELS[4] = IGNORED  # An image without a label,
LABELS[5, 1:] = IGNORED  # and one with few.


class Brightest(nn.Module):
  """The class of a pixel is its largest channel, or that of a neighbour."""

  right: int = 0  # So many pixels to the right of what it is about.

  @nn.compact
  def __call__(self, images, *, train=False):
    contrast = self.param('contrast', nn.initializers.constant(8.0), ())
    never = jnp.full((*images.shape[:3], 1), -100.0)
    there = jnp.roll(images, self.right, axis=2) * contrast
    return jnp.concatenate([there, never], axis=-1)


def subject(right=0, contrast=8.0, images=COUNT):
  setup = SimpleNamespace(
    model=Brightest(right),
    task=Segmentation(NAMES, IGNORED),
    normalization=Normalization((0.5,) * 3, (0.25,) * 3),
  )
  config = {'model': {'name': 'brightest'}, 'seed': 3, 'train': {'batch_size': 8}}
  arrays = IMAGES[:images], LABELS[:images]
  test = Dataset('known', 'test', *arrays, 4, 'made up', 'segmentation', IGNORED)
  variables = {'params': {'contrast': jnp.asarray(contrast, jnp.float32)}}
  return Subject(config, setup, variables, test, 7, 'brightest', (None, None))


@pytest.fixture(scope='module')
def perfect(tmp_path_factory):
  """The record of a network that knows no neighbours, and where it was written."""
  out = tmp_path_factory.mktemp('perfect')
  return report_evaluation(subject(), out, SHIFTED), out


@pytest.fixture(scope='module')
def misplaced(tmp_path_factory):
  """The record of one whose output lies two pixels to the right, and its pictures."""
  pictures = []
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(figures, 'segmentations', lambda given, *rest: pictures.extend(given))
    out = tmp_path_factory.mktemp('misplaced')
    return report_evaluation(subject(right=2), out, SHIFTED), pictures


def test_an_equivariant_segmenter_is_perfectly_consistent(perfect):
  record, _ = perfect
  assert list(record['consistency']) == [
    'horizontal_flip', 'vertical_flip', 'half_turn', 'shift_right_1',
    'shift_up_2_right_3',
  ]  # fmt: skip
  for name, found in record['consistency'].items():
    for numbers in (found, found['pooled'], found['labelled']):
      assert numbers['mean'] == 1 and 0.6 < numbers['interval'][0] < 1
      assert numbers['interval'][1] == pytest.approx(1)
    # The only labels of image 5 are in its first row, which leaves upwards.
    left = 9 if name == 'shift_up_2_right_3' else 10
    assert found['labelled']['images'] == left


def test_the_metrics_are_those_of_the_pixels_of_all_images(perfect):
  record, _ = perfect
  known = LABELS != IGNORED
  iou, right = [], []
  for label in range(3):
    true, guess = (LABELS == label) & known, (TRUTH == label) & known
    iou.append((true & guess).sum() / (true | guess).sum())
    right.append((true & guess).sum() / true.sum())
  assert [*record['test_iou'].values()] == pytest.approx([*iou, None])
  for name, expected in (
    ('test_miou', np.mean(iou)),
    ('test_class_accuracy', np.mean(right)),
    ('test_accuracy', (LABELS == TRUTH)[known].mean()),
  ):
    found = record[name]
    assert found['mean'] == pytest.approx(expected, rel=1e-6)
    assert 0 <= found['interval'][0] < found['mean'] < found['interval'][1] <= 1
  assert next(name for name in record if name.startswith('test_')) == 'test_miou'


def shares(same, counted):
  """Per image and pooled, without the images of which nothing counts."""
  same, counted = (same & counted).sum((1, 2)), counted.sum((1, 2))
  kept = counted > 0
  return (same[kept] / counted[kept]).mean(), same.sum() / counted.sum()


def predict(images):
  """As `Brightest(right=2)`."""
  return np.roll(images.argmax(-1), 2, 2)


def test_pictures_are_of_images_from_all_over_the_split(misplaced):
  _, pictures = misplaced
  assert [picture['name'] for picture in pictures] == [
    f'test image {place}' for place in (0, 3, 7, 10)
  ]
  for picture, place in zip(pictures, (0, 3, 7, 10), strict=True):
    image = IMAGES[place : place + 1]
    for key, expected in (
      ('image', image),
      ('truth', LABELS[place : place + 1]),
      ('prediction', predict(image)),
      ('flipped_back', predict(image[:, :, ::-1])[:, :, ::-1]),
    ):
      np.testing.assert_array_equal(picture[key], expected[0])


def test_a_misplaced_segmenter_scores_what_brute_force_says(misplaced):
  """Two pixels right; of the flipped image, flipped back, two pixels left."""
  record, _ = misplaced
  upright = predict(IMAGES)
  expected = {
    'horizontal_flip': (predict(IMAGES[:, :, ::-1])[:, :, ::-1], np.s_[:, :]),
    'vertical_flip': (predict(IMAGES[:, ::-1])[:, ::-1], np.s_[:, :]),
  }
  for (down, right), name in zip(SHIFTED, [*record['consistency']][3:], strict=True):
    rows = np.clip(np.arange(HEIGHT) - down, 0, HEIGHT - 1)
    columns = np.clip(np.arange(WIDTH) - right, 0, WIDTH - 1)
    moved = predict(IMAGES[:, rows][:, :, columns])
    inside = np.s_[max(-down, 0) : HEIGHT - max(down, 0),
                   max(-right, 0) : WIDTH - max(right, 0)]  # fmt: skip
    expected[name] = (np.roll(moved, (-down, -right), (1, 2)), inside)
  for name, (back, (rows, columns)) in expected.items():
    inside = np.zeros(TRUTH.shape, bool)
    inside[:, rows, columns] = True
    found = record['consistency'][name]
    for kind, counted in (
      (found, inside),
      (found['labelled'], inside & (LABELS != IGNORED)),
    ):
      mean, pooled = shares(back == upright, counted)
      assert kind['mean'] == pytest.approx(mean, rel=1e-6), name
      assert kind['pooled']['mean'] == pytest.approx(pooled, rel=1e-6), name
  flip = record['consistency']['horizontal_flip']
  assert flip['mean'] < 0.7 and record['consistency']['vertical_flip']['mean'] == 1
  # With equally many pixels of each image it does not matter how they are pooled.
  assert flip['pooled']['mean'] == pytest.approx(flip['mean'])
  assert abs(flip['labelled']['pooled']['mean'] - flip['labelled']['mean']) > 1e-3


def test_the_record_says_what_it_is_of(perfect):
  record, out = perfect
  written = json.loads((out / 'evaluation.json').read_text())
  assert written == json.loads(json.dumps(record))
  assert record['shift'] == {'shifts': [[0, 1], [-2, 3]], 'fill': 'edge'}
  for name in ('consistency', 'segmentations'):
    assert (out / 'figures' / f'{name}.png').read_bytes().startswith(b'\x89PNG')
  head, *lines, last = evaluation_table(record).splitlines()
  assert head.split() == ['mean', '95%', 'interval', 'labelled', 'pixels', 'alone']
  assert [line.split()[1] for line in lines[:3]] == ['miou', 'accuracy', 'class']
  assert lines[3].startswith('consistency: horizontal flip') and len(lines) == 8
  assert last == 'without a pixel, and so left out of means: never'


def test_shifts_have_names_of_their_own():
  names = [shift_name(shift) for shift in (*SHIFTS, (-1, 0), (2, -3), (0, 0))]
  assert len(set(names)) == len(names) == 9
  assert names[2] == 'shift_right_8' and names[-2:] == [
    'shift_down_2_left_3',
    'shift_none',
  ]


def test_squares_have_quarter_turns_as_well():
  names = list(views_of_pixels((8, 8), [(0, 7)]))
  assert names[3:] == ['quarter_turn', 'three_quarter_turn', 'shift_right_7']
  assert list(views_of_pixels((8, 9), [])) == names[:3]


def test_shifts_are_given_down_and_right():
  assert [command.shift(text) for text in ('0,8', '-5,3')] == [(0, 8), (-5, 3)]
  for text, message in (
    ('8', '--shift=8 is not DOWN,RIGHT in pixels, such as 0,8'),
    ('1,2,3', '--shift=1,2,3 is not DOWN,RIGHT'),
    ('0,half', '--shift=0,half are not whole numbers'),
  ):
    with pytest.raises(UserError, match=message):
      command.shift(text)


@pytest.mark.parametrize(
  'given, shifts, message',
  [
    ({'contrast': np.nan}, SHIFTED, 'brightest gives NaN or infinity on known'),
    ({}, [(0, 10)], r'shift by 0,10 .* of 6x10 pixels .* possible is 5,9'),
    ({}, None, r'shift by 8,0 .* possible is 5,9'),
    ({'images': 1}, SHIFTED, 'known test has 1 images with labels'),
  ],
)
def test_what_cannot_be_measured_is_named_and_nothing_written(
  tmp_path, given, shifts, message
):
  with pytest.raises(UserError, match=message):
    report_evaluation(subject(**given), tmp_path / 'out', shifts)
  assert not (tmp_path / 'out').exists()
