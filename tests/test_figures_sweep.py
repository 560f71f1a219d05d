import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from test_figures import CAPTION, assert_legible, strings

from symjax import figures
from symjax.figures.sweep import draw

NETS = ('rotated_mnist_gcnn', 'rotated_mnist_gcnn:plain_equal_parameters')


def rows(labels=NETS, numbers=(300, 1000, 3000), seeds=5):
  rng = np.random.default_rng(0)
  return [
    {'label': label, 'x': x, 'values': rng.uniform(0.7, 0.9, seeds).tolist()}
    for label in labels
    for x in numbers
  ]


def lines(content):
  return draw(content, CAPTION, 'test accuracy', 'data.train_examples')


def names(content, metric='test accuracy'):
  return draw(content, CAPTION, metric, None)


FIGURES = {
  'two lines': lambda: lines(rows()),
  'a line': lambda: lines(rows([''])),
  'eight lines': lambda: lines(rows([f'model.depth={i}' for i in range(8)])),
  'small numbers': lambda: lines(rows(numbers=[0, 1e-3, 2e-3])),
  'many numbers': lambda: lines(rows(numbers=[2**i for i in range(3, 13)])),
  'one seed': lambda: lines(rows(seeds=1)),
  'two names': lambda: names(rows(numbers=[None])),
  'a name': lambda: names(rows([''], [None], 1)),
  'a long metric': lambda: names(rows(numbers=[None]), 8 * 'skew of kernels '),
  'a long metric on a line': lambda: draw(rows(), CAPTION, 6 * 'skew of kernels ', 'x'),
  'long names': lambda: names(rows([20 * f'model.x{i}=a, ' for i in range(9)], [None])),
}


@pytest.mark.parametrize('name', FIGURES)
def test_no_text_leaves_the_page_or_touches_another(name):
  assert_legible(FIGURES[name]())


def errorbars(figure):
  [axes] = figure.axes
  return [c for c in axes.containers if isinstance(c, ErrorbarContainer)]


def test_a_line_is_the_mean_and_its_bars_the_standard_deviation():
  content = rows()
  figure = lines(content[::-1])  # In any order.
  assert figure.axes[0].get_xscale() == 'log'
  assert '1000' in strings(figure) and set(NETS) <= {
    text.replace('\n', '') for text in strings(figure)
  }
  for drawn, label in zip(errorbars(figure), NETS[::-1], strict=True):
    mine = [row for row in content if row['label'] == label]
    line, _, [bars] = drawn
    assert line.get_xdata().tolist() == [300, 1000, 3000]
    means = [np.mean(row['values']) for row in mine]
    np.testing.assert_allclose(line.get_ydata(), means)
    for segment, row in zip(bars.get_segments(), mine, strict=True):
      low, high = segment[:, 1]
      assert (high - low) / 2 == pytest.approx(np.std(row['values'], ddof=1))


def test_numbers_that_are_close_have_a_linear_axis():
  assert lines(rows(numbers=[100, 200, 300])).axes[0].get_xscale() == 'linear'


def test_without_an_axis_rows_stand_from_top_to_bottom():
  content = rows(numbers=[None])
  figure = names(content)
  [axes] = figure.axes
  labels = [label.get_text().replace('\n', '') for label in axes.get_yticklabels()]
  assert labels == list(NETS) and axes.yaxis_inverted()
  places = axes.get_yticks()
  assert (np.diff(places) > 0).all()
  for place, (line, _, _), row in zip(places, errorbars(figure), content, strict=True):
    assert line.get_xydata() == pytest.approx(
      np.array([[np.mean(row['values']), place]])
    )


def test_the_file_is_written(tmp_path):
  path = tmp_path / 'new' / 'sweep.png'
  figures.sweep_results(rows(), path, CAPTION, 'test accuracy', 'data.train_examples')
  assert path.read_bytes().startswith(b'\x89PNG')
