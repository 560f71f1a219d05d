import numpy as np
import pytest
from matplotlib.colors import same_color, to_hex
from test_figures import CAPTION, assert_legible, strings

from symjax import figures
from symjax.figures import page, style, table2

METHODS = ('B-SGD', 'B-UN', 'SN')
LENGTHS = (25, 40, 31)


def cell(depth=2, label='B-SGD', lengths=LENGTHS, first=0.06, seed=0):
  """Courses that fall to an error of 1.8% and more, and to a cost near 0.001."""
  rng = np.random.default_rng(seed)
  fall = [np.exp(-np.arange(length) / 4) for length in lengths]
  ends = rng.uniform([0.018, 0.0005], [0.019, 0.001], (len(lengths), 2))
  return {
    'depth': depth,
    'label': label,
    'test_error': [
      (end + (first - end) * f).tolist() for (end, _), f in zip(ends, fall, strict=True)
    ],
    'cost': [(end + 0.3 * f).tolist() for (_, end), f in zip(ends, fall, strict=True)],
  }


def cells(methods=METHODS, depths=(2, 4), **options):
  return [
    cell(depth, label, seed=i, **options)
    for depth in depths
    for i, label in enumerate(methods)
  ]


def given(test_error, cost, depth=2, label='SGD'):
  return {'depth': depth, 'label': label, 'test_error': test_error, 'cost': cost}


def draw(content):
  return table2.draw(content, CAPTION)


def curves_of(axes):
  """The lines of the methods: neither marks nor lonely dots."""
  return [line for line in axes.lines if line.get_linestyle() == '-']


def marks_of(axes):
  return [line for line in axes.lines if line.get_marker() == '|']


def legend_of(figure):
  (legend,) = figure.legends
  names = [text.get_text() for text in legend.get_texts()]
  return dict(zip(names, legend.legend_handles, strict=True))


FIGURES = {
  'three methods': lambda: draw(cells()),
  'seven methods': lambda: draw(cells([f'method {i}' for i in range(7)])),
  'long names': lambda: draw(cells([f'{i} runs/{10 * "name/"}' for i in range(4)])),
  'one depth': lambda: draw(cells(depths=[4])),
  'three depths': lambda: draw(cells(depths=[2, 4, 8])),
  'one run': lambda: draw(cells(lengths=[30])),
  'one epoch': lambda: draw(cells(lengths=[1, 1])),
  'one epoch of one run': lambda: draw(cells(lengths=[1])),
  'two epochs': lambda: draw(cells(lengths=[2])),
  'high first epochs': lambda: draw(cells(first=0.9)),
  'a method that fails': lambda: draw(
    [*cells(), given([[0.902] * 9], [[2.3] * 9], label='failed')]
  ),
  'no error': lambda: draw([given([[0.5, 0.0, 0.0]], [[2.0, 1.0, 0.0]])]),
  'nulls alone': lambda: draw([given([[None, None]], [[None, None]])]),
  'nothing': lambda: draw([]),
}


@pytest.mark.parametrize('name', FIGURES)
def test_no_text_leaves_the_page_or_touches_another(name):
  assert_legible(FIGURES[name]())


@pytest.mark.parametrize('first', [0.04, 0.06, 0.09, 0.5, 0.9])
@pytest.mark.parametrize('end', [0.0101, 0.0181, 0.08])
def test_errors_of_any_size_have_names_that_keep_apart(first, end):
  figure = draw([given([[first, 0.05, end]], [[2.3, 0.1, 0.001]])])
  assert_legible(figure)
  axis = figure.axes[0].yaxis
  low, high = axis.get_view_interval()
  shown = [tick for tick in axis.get_majorticklocs() if low <= tick <= high]
  assert 3 <= len(shown) <= 13
  np.testing.assert_allclose(
    [float(label.get_text()) for label in axis.get_ticklabels()],
    axis.get_majorticklocs(),
  )


def test_panels_have_rows_of_measures_and_columns_of_depths():
  figure = draw(cells(depths=[4, 2]))
  error, deep_error, cost, deep_cost = figure.axes
  assert (error.get_title(), deep_error.get_title()) == ('depth 2', 'depth 4')
  assert (error.get_ylabel(), deep_error.get_ylabel()) == ('test error (%)', '')
  assert cost.get_ylabel().startswith('training cost')
  assert strings(figure).count('epoch') == 2
  assert error.get_ylim() == deep_error.get_ylim()
  assert cost.get_ylim() == deep_cost.get_ylim()
  assert {axes.get_xlim() for axes in figure.axes} == {(0.5, max(LENGTHS) + 0.5)}
  figure.draw_without_rendering()
  heights = [a.get_window_extent().height / page.DPI for a in (error, cost)]
  np.testing.assert_allclose(heights, [1.8 * 6 / 5, 1.8 * 4 / 5], atol=0.05)


def test_an_ended_run_keeps_its_last_value_to_the_end_of_the_longest():
  content = given([[0.05, 0.03], [0.04, 0.02, 0.01]], [[3.0, 1.0], [2.0, 1.0, 0.5]])
  error, cost = draw([content]).axes
  for axes, expected in ((error, [4.5, 2.5, 2.0]), (cost, [2.5, 1.0, 0.75])):
    (curve,) = curves_of(axes)
    np.testing.assert_allclose(curve.get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(curve.get_ydata(), expected)
  (band,) = error.collections
  low, high = band.get_paths()[0].get_extents().get_points()
  # Between 4.5 + std(5, 4) and 2 - std(3, 1), with n - 1.
  np.testing.assert_allclose([low[1], high[1]], [2 - 2**0.5, 4.5 + 0.5**0.5])
  assert (low[0], high[0]) == (1, 3)


def test_the_longest_run_is_that_of_its_own_cell():
  error = draw([cell(lengths=[25, 30]), cell(label='SN', lengths=[40])]).axes[0]
  assert [len(curve.get_xdata()) for curve in curves_of(error)] == [30, 40]


def test_a_method_has_one_colour_everywhere():
  content = cells(depths=[2]) + cells(METHODS[::-1], depths=[4])
  figure = draw(content)
  legend = legend_of(figure)
  assert [*legend] == [*METHODS, 'end of a run']
  expected = dict(zip(METHODS, style.PALETTE, strict=False))
  for label, color in expected.items():
    assert same_color(legend[label].get_color(), color)
  for axes, order in zip(figure.axes, 2 * [METHODS, METHODS[::-1]], strict=True):
    for i, label in enumerate(order):
      assert same_color(curves_of(axes)[i].get_color(), expected[label])
      face = axes.collections[i].get_facecolor()[0]
      assert same_color(face[:3], expected[label]) and face[3] < 0.3


def test_marks_show_where_runs_ended_above_the_errors():
  figure = draw(cells())
  figure.draw_without_rendering()
  for axes in figure.axes[:2]:
    marks = marks_of(axes)
    assert [to_hex(mark.get_color()).upper() for mark in marks] == [*style.PALETTE[:3]]
    heights = []
    for mark in marks:
      assert sorted(mark.get_xdata()) == sorted(LENGTHS)
      places = mark.get_transform().transform(mark.get_xydata())
      ends = axes.transData.transform([(length, 1) for length in LENGTHS])
      np.testing.assert_allclose(places[:, 0], ends[:, 0])
      heights.append(places[0, 1])
    # In the order of the legend, apart, between the panel and its title.
    assert np.diff(heights).max() < -table2.PITCH / 2
    half = page.DPI / 72 * table2.PITCH / 2
    assert heights[-1] - half > axes.get_window_extent().y1
    assert heights[0] + half < axes.title.get_window_extent().y0
  assert not marks_of(figure.axes[2])


def test_late_differences_can_be_seen():
  content = cells(first=0.9)
  for i in range(3):
    content[i]['test_error'] = [
      [0.9, 0.5, 0.1, 0.03, end] for end in (0.018 + 0.003 * i, 0.018 + 0.003 * i)
    ]
  error = draw(content).axes[0]
  assert error.get_yscale() == 'log'
  ends = [curve.get_xydata()[-1] for curve in curves_of(error)]
  heights = error.transAxes.inverted().transform(error.transData.transform(ends))[:, 1]
  # 0.3% are 7% of the panel or more: 0.15 inches.
  assert np.diff(heights).min() > 0.07


def test_the_error_axis_holds_where_every_method_ends():
  failed = given([[0.9, 0.91, None]], [[2.3, 2.3, None]], label='failed')
  for content in (cells(), cells(first=0.9), [*cells(), failed]):
    error = draw(content).axes[0]
    low, high = error.get_ylim()
    for curve in curves_of(error):
      values = curve.get_ydata()
      assert low < values[np.isfinite(values)][-1] < high


def test_a_linear_axis_where_a_logarithmic_one_shows_no_more():
  near = draw([given([[0.03, 0.02]], [[0.3, 0.02]])])
  zero = draw([given([[0.9, 0.0]], [[2.0, 0.0]])])
  for figure in (near, zero):
    assert [axes.get_yscale() for axes in figure.axes] == ['linear', 'linear']
  wide = draw([given([[0.05, 0.02]], [[0.7, 0.02]])])
  assert [axes.get_yscale() for axes in wide.axes] == ['log', 'log']


def test_a_band_that_reaches_below_zero_does_not_stretch_a_logarithmic_axis():
  costs = [[1.0, 0.001], [1.0, 0.001], [1.0, 0.01]]
  cost = draw([given(3 * [[0.05, 0.02]], costs)]).axes[1]
  mean = 0.012 / 3
  assert mean / 4 < cost.get_ylim()[0] < mean


def test_a_null_is_a_gap_in_the_mean():
  content = given([[0.05, None, 0.03], [0.04, 0.03, 0.02]], [[3, None], [2, 1, 0.5]])
  error, cost = draw([content]).axes
  gaps = [np.isnan(curves_of(axes)[0].get_ydata()).tolist() for axes in (error, cost)]
  assert gaps == [[False, True, False], [False, True, True]]


def test_a_single_epoch_is_a_dot_on_an_axis_with_one_tick():
  figure = draw(cells(['SGD'], lengths=[1]))
  for axes in figure.axes:
    assert any(
      line.get_marker() == 'o' and line.get_xdata() == [1] for line in axes.lines
    )
  assert figure.axes[-1].get_xticks().tolist() == [1]


def test_cells_without_runs_leave_no_trace():
  with_empty = [*cells(), given([], [], label='planned'), given([[]], [[]], depth=8)]
  for content in (with_empty, cells()):
    assert len(draw(content).axes) == 4
    assert 'planned' not in strings(draw(content))
  one = cells(depths=[2], methods=['SGD'])
  more = [one[0] | {key: [[], *one[0][key]] for key in ('test_error', 'cost')}]
  lines = [[x.get_xydata() for a in draw(c).axes for x in a.lines] for c in (one, more)]
  for line, other in zip(*lines, strict=True):
    np.testing.assert_array_equal(line, other)
  assert 'no measurement of training' in strings(draw([given([], [])]))


def test_the_same_cells_give_the_same_bytes(tmp_path):
  for name in ('first', 'second'):
    figures.table2_courses(cells(), tmp_path / f'{name}.png', CAPTION)
  first, second = ((tmp_path / f'{n}.png').read_bytes() for n in ('first', 'second'))
  assert first == second


def test_a_missing_key_is_named():
  with pytest.raises(KeyError, match='cost'):
    draw([{'depth': 2, 'label': 'SGD', 'test_error': [[0.1]]}])
