"""Trend lines: Zhang's published numbers, and agreement with textbook formulas."""

import json

import numpy as np
import pytest
from scipy import stats

from symjax.errors import UserError
from symjax.experiments.trends import (
  Point,
  evaluated_points,
  fit_line,
  offset_test,
  published_points,
  report_trends,
  trends_table,
)

RNG = np.random.default_rng(0)
X = RNG.uniform(0.5, 0.9, 7), RNG.uniform(0.6, 1.0, 9)
FIRST = X[0], 0.3 + 0.5 * X[0] + RNG.normal(0, 0.02, 7)
SECOND = X[1], 0.25 + 0.5 * X[1] + RNG.normal(0, 0.02, 9)


def test_a_line_is_the_textbooks():
  line, known = fit_line(FIRST), stats.linregress(*FIRST)
  assert (line.intercept, line.slope) == pytest.approx((known.intercept, known.slope))
  assert (line.low, line.high) == (X[0].min(), X[0].max())
  assert line.at(2.0) == pytest.approx(known.intercept + 2 * known.slope)


def test_the_offset_is_the_f_test_of_two_nested_models():
  """By residual sums of squares, without any standard error."""

  def residual(*columns):
    design = np.stack(columns, 1)
    return np.linalg.lstsq(design, y, rcond=None)[1][0]

  x, y = (np.concatenate(pair) for pair in zip(FIRST, SECOND, strict=True))
  one, member = np.ones(16), np.arange(16) < 7
  line, offset = residual(one, x), residual(one, x, member)
  crossed = residual(one, x, member, member * x)
  found = offset_test(FIRST, SECOND)
  f = (line - offset) / (offset / 13)
  assert found.t**2 == pytest.approx(f)
  assert found.p == pytest.approx(stats.f.sf(f, 1, 13))
  assert found.degrees_of_freedom == 13
  f = (offset - crossed) / (crossed / 12)
  assert found.p_parallel == pytest.approx(stats.f.sf(f, 1, 12))
  assert found.interval[0] < 0.05 < found.interval[1]  # What they were made with.


def test_moving_a_group_up_moves_its_offset_and_exchanging_turns_it():
  found = offset_test(FIRST, SECOND)
  higher = offset_test((FIRST[0], FIRST[1] + 0.25), SECOND)
  assert higher.mean == pytest.approx(found.mean + 0.25)
  assert higher.slope == pytest.approx(found.slope)
  turned = offset_test(SECOND, FIRST)
  assert (turned.mean, turned.p) == pytest.approx((-found.mean, found.p))
  assert turned.interval == pytest.approx((-found.interval[1], -found.interval[0]))


@pytest.mark.parametrize(
  'first, second, message',
  [
    (([0.5], [0.5]), SECOND, 'two points of different accuracy, and a group has 1'),
    (([0.5, 0.5], [0.4, 0.5]), SECOND, 'and a group has 2 of the same'),
    (([0.5, 0.6], [0.4, 0.5]), ([0.5], [0.5]), 'a group has 1'),
  ],
)
def test_points_without_a_line_are_named(first, second, message):
  with pytest.raises(UserError, match=message):
    offset_test(first, second)


@pytest.mark.parametrize('which, count', [('fine_tuned', 26), ('from_scratch', 19)])
def test_the_published_table_has_zhangs_networks(which, count):
  points = published_points(which)
  assert len(points) == len({(p.group, p.name) for p in points}) == count
  [r50] = [p for p in points if (p.group, p.name) == ('ResNet', '50')]
  assert (r50.accuracy, r50.consistency) == pytest.approx((0.7616, 0.8920))
  # Anti-aliasing raised accuracy and consistency of every one.
  plain = {(p.group, p.name): p for p in points}
  for point in points:
    if point.group.startswith('anti-aliased '):
      before = plain[point.group.removeprefix('anti-aliased '), point.name]
      assert point.accuracy > before.accuracy
      assert point.consistency > before.consistency


@pytest.mark.parametrize('which', ['fine_tuned', 'from_scratch'])
def test_the_two_statements_about_figure_8(which, tmp_path):
  """VGG lies above ResNet; anti-aliased ResNets reach VGG's line, but not above it."""
  record = report_trends(published_points(which), tmp_path, 'crop_shift', 'Zhang')
  found = {(c['first'], c['second']): c for c in record['comparisons']}
  resnet = found['ResNet', 'VGG']
  assert resnet['mean'] < -0.01 and resnet['p_holm'] < 0.001
  assert resnet['above'] == 0
  for group, line in [('VGG', 'VGG'), ('VGG', 'ResNet'), ('ResNet', 'ResNet')]:
    comparison = found[f'anti-aliased {group}', line]
    assert comparison['interval'][0] > 0 and comparison['p_holm'] < 0.01
    assert comparison['above'] == comparison['count']
  reached = found['anti-aliased ResNet', 'VGG']
  assert reached['interval'][0] < 0 < reached['interval'][1]
  assert reached['above'] <= 1
  assert json.loads((tmp_path / 'trends.json').read_text()) == record
  assert (tmp_path / 'figures' / 'trends.png').read_bytes().startswith(b'\x89PNG')
  assert '| ResNet | VGG | -1.84 (-2.25 to -1.42) |' in trends_table(record)


def evaluated(folder, accuracy, consistency, metric='test_accuracy', **model):
  folder.mkdir()
  config = {'model': {'name': 'vgg', 'padding': 'zero'} | model, 'data': {}, 'seed': 0}
  record = {
    metric: {'mean': accuracy},
    'consistency': {'crop_shift': {'mean': consistency}},
    'config': config,
  }
  (folder / 'evaluation.json').write_text(json.dumps(record))
  return folder


def test_runs_are_grouped_by_config_keys(tmp_path):
  folders = [
    evaluated(tmp_path / 'a', 0.5, 0.6),
    evaluated(tmp_path / 'b', 0.6, 0.7, padding='reflect'),
  ]
  points = evaluated_points(folders, 'crop_shift', ['model.name', 'model.padding'])
  assert points == [
    Point('vgg, padding=zero', 'a', 0.5, 0.6),
    Point('vgg, padding=reflect', 'b', 0.6, 0.7),
  ]
  with pytest.raises(UserError, match='two networks of different accuracy in one'):
    report_trends(points, tmp_path / 'out', 'crop_shift', 'runs')
  assert not (tmp_path / 'out').exists()


def test_segmentations_are_placed_by_their_mean_iou(tmp_path):
  first, second = (
    evaluated(tmp_path / name, iou, 0.9 + iou / 10, 'test_miou')
    for name, iou in (('a', 0.4), ('b', 0.5))
  )
  points = evaluated_points([first, second], 'crop_shift', ['model.name'])
  record = report_trends(points, tmp_path, 'crop_shift', 'runs')
  assert record['metric'] == 'mean IoU'
  assert record['lines']['vgg']['slope'] == pytest.approx(0.1)
  assert 'above at equal mean IoU' in trends_table(record)
  other = evaluated_points([evaluated(tmp_path / 'c', 0.6, 0.9)], 'crop_shift', [])
  with pytest.raises(UserError, match='have accuracy and others mean IoU'):
    report_trends(points + other, tmp_path, 'crop_shift', 'runs')


@pytest.mark.parametrize(
  'measure, by, message',
  [
    ('shift', ['model.name'], "has no consistency 'shift'; it has crop_shift"),
    ('crop_shift', ['model.pading'], "the config of .* has no key 'model.pading'"),
    ('crop_shift', ['seed.x'], "has no key 'seed.x'"),
  ],
)
def test_what_a_run_does_not_have_is_named(tmp_path, measure, by, message):
  folder = evaluated(tmp_path / 'a', 0.5, 0.6)
  with pytest.raises(UserError, match=message):
    evaluated_points([folder], measure, by)


def test_runs_that_cannot_be_placed_are_named(tmp_path):
  folder = evaluated(tmp_path / 'a', 0.5, 0.6)
  record = {'test_error': {'mean': 1.0}, 'consistency': {}, 'config': {}}
  (folder / 'evaluation.json').write_text(json.dumps(record))
  with pytest.raises(UserError, match='no accuracy and no mean IoU: it has test_error'):
    evaluated_points([folder], 'crop_shift', ['model.name'])
  (folder / 'evaluation.json').unlink()
  with pytest.raises(UserError, match='no evaluation.json yet: run python -m run'):
    evaluated_points([folder], 'crop_shift', ['model.name'])
  with pytest.raises(UserError, match='choose from fine_tuned, from_scratch'):
    published_points('tuned')
