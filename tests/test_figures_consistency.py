"""The figures of evaluations: means with intervals, curves, dots with trend lines."""

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from test_figures import CAPTION, assert_legible, strings

from symjax.experiments.trends import PUBLISHED, fit_line, published_points
from symjax.figures import consistency, diagonal, trends

RNG = np.random.default_rng(0)
NAMES = ('horizontal flip', 'three quarter turn', 'crop shift', 'circular shift')


def share(mean, repeats=1):
  spread = 0.02 * np.linspace(-1, 1, repeats) if repeats > 1 else np.zeros(1)
  return {
    'mean': mean,
    'interval': [mean - 0.03, min(1, mean + 0.02)],
    'repeats': (mean + spread).tolist(),
  }


MEASURES = {
  name: share(mean, repeats)
  for name, mean, repeats in zip(
    NAMES, (0.4, 0.1, 0.93, 1.0), (1, 1, 5, 5), strict=True
  )
}
SCORE = {'test accuracy': {'mean': 0.92, 'interval': [0.9, 0.94]}}
COUNTED = {'test error': {'mean': 0.61, 'interval': [0.58, 0.64]}}


def bars(unit, score):
  return consistency.draw(score, unit, MEASURES, CAPTION)


def slides(images, steps):
  offsets = [[i, i] for i in range(steps)]
  curves = RNG.uniform(0, 1, (images, steps))
  return {
    'score': 'probability of the true class',
    'offsets': offsets,
    'mean': RNG.uniform(0.5, 0.6, steps).tolist(),
    'images': curves.tolist(),
  }


def published(which):
  points = published_points(which)
  groups = {}
  for point in points:
    groups.setdefault(point.group, []).append((point.accuracy, point.consistency))
  lines = {name: vars(fit_line(zip(*xy, strict=True))) for name, xy in groups.items()}
  drawn = [vars(point) for point in points]
  return {'points': drawn, 'lines': lines, 'metric': points[0].metric}


FIGURES = {
  'accuracy': lambda: bars(consistency.SHARE, SCORE),
  'error': lambda: bars('mean absolute error of the count', COUNTED),
  'segmentation': lambda: consistency.draw(
    {
      name: {'mean': mean, 'interval': [mean - 0.03, mean + 0.03]}
      for name, mean in (('test miou', 0.4), ('test class accuracy', 0.6))
    },
    'of labelled pixels: a mean over classes, or a share',
    {name: {'mean': 0.9, 'interval': [0.88, 0.92]} for name in NAMES},
    CAPTION,
    'share of pixels that both views see',
  ),
  'slides': lambda: diagonal.draw(slides(24, 33), CAPTION),
  'a slide': lambda: diagonal.draw(slides(0, 2), CAPTION),
  **{which: lambda w=which: trends.draw(published(w), CAPTION) for which in PUBLISHED},
}


@pytest.mark.parametrize('name', FIGURES)
def test_no_text_leaves_the_page_or_touches_another(name):
  assert_legible(FIGURES[name]())


def test_a_share_stands_with_the_others_and_an_error_apart():
  [axes] = FIGURES['accuracy']().axes
  names = [label.get_text() for label in axes.get_yticklabels()]
  assert names == ['test accuracy', *NAMES] and axes.yaxis_inverted()
  found = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
  assert len(found) == 5
  for row, drawn in zip([*SCORE.values(), *MEASURES.values()], found, strict=True):
    line, _, [bar] = drawn
    assert line.get_xdata()[0] == row['mean']
    np.testing.assert_allclose(bar.get_segments()[0][:, 0], row['interval'])
  above, below = FIGURES['error']().axes
  assert above.get_xlabel() == 'mean absolute error of the count'
  assert below.get_xlabel() == 'share of test images'
  assert [label.get_text() for label in above.get_yticklabels()] == ['test error']


def test_every_image_has_a_thin_line_and_all_a_thick_one():
  found = slides(24, 33)
  figure = diagonal.draw(found, CAPTION)
  lines = figure.axes[0].get_lines()
  np.testing.assert_array_equal(
    [line.get_ydata() for line in lines[:-1]], found['images']
  )
  assert lines[-1].get_ydata().tolist() == found['mean']
  assert lines[-1].get_linewidth() > 3 * lines[0].get_linewidth()
  assert lines[-1].get_xdata().tolist() == list(range(33))


def test_lines_are_dotted_where_no_network_of_theirs_is():
  record = published('fine_tuned')
  figure = trends.draw(record, CAPTION)
  [axes] = figure.axes
  assert {'VGG', 'anti-aliased ResNet', '152', '19bn'} <= set(strings(figure))
  for how, count in (('-', 4), (':', 8), ('None', 4)):
    assert sum(line.get_linestyle() == how for line in axes.get_lines()) == count
  solid = [line for line in axes.get_lines() if line.get_linestyle() == '-']
  for line, known in zip(solid, record['lines'].values(), strict=True):
    ends = [100 * known['low'], 100 * known['high']]
    np.testing.assert_allclose(line.get_xdata(), ends)
    heights = [100 * known['intercept'] + known['slope'] * x for x in ends]
    np.testing.assert_allclose(line.get_ydata(), heights)
