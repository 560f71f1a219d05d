import errno
import itertools
import os
import struct
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.container import BarContainer, ErrorbarContainer

from symjax import figures
from symjax.experiments.report import profile_table
from symjax.figures import (
  curves,
  equivariance,
  evolution,
  filters,
  kernels,
  page,
  profile,
  style,
)

CAPTION = (
  'Symmetry of the mean kernels of a network trained for 30 epochs on the first '
  '20,000 images of CIFAR-10 with zero padding; run runs/cifar_vgg-smoke-3f2a, seed 0.'
)
RESNET = {
  'conv1': (7, 7, 2),
  **{
    f'layer{stage}.{block}.conv{conv}': (3, 3, 2 if (stage > 1, block) == (1, 0) else 1)
    for stage, blocks in ((1, 6), (2, 8), (3, 8), (4, 4))
    for block in range(blocks)
    for conv in (1, 2)
  },
}
INCEPTION = {
  'Conv2d_1a_3x3': (3, 3, 2),
  'Mixed_5b.branch5x5_2': (5, 5, 1),
  **{
    f'Mixed_6{block}.branch7x7dbl_{i}': (1, 7, 1) if i % 2 else (7, 1, 1)
    for block in 'bcde'
    for i in range(2, 6)
  },
  'InceptionAuxiliary_0/BasicConv_1/reduction$projection_to_768': (2, 5, 1),
}
NETWORKS = {
  'vgg': {f'features.{i}': (3, 3, 1) for i in range(13)},
  'resnet': RESNET,
  'inception': INCEPTION,
  'alexnet': {'Conv_0': (11, 11, 4), 'Conv_1': (5, 5, 1), 'Conv_2': (3, 3, None)},
  'single': {'Conv_0': (3, 3, 1)},
}


def record(network='vgg', seed=0, null=()):
  """A profile as read from profile.json; the layers in `null` have no score."""
  rng = np.random.default_rng(seed)
  layers = []
  for name, (height, width, stride) in NETWORKS[network].items():
    undefined = name in null
    z = rng.uniform(1, 5)
    layers.append(
      {
        'name': name,
        'kernel': [height, width],
        'stride': stride,
        'group': 'D4' if height == width else 'Z2',
        'score': None if undefined else 0.4 + 0.1 * z,
        'distances': {},
        'random_mean': 0.4,
        'random_std': 0.1 if height == width else 0.25,
        'z': None if undefined else z,
        'skew': None if undefined else rng.uniform(-0.4, 0.4, 2).tolist(),
        'individual_mean': None if undefined else 0.45,
        'individual_std': None if undefined else 0.12,
        'mean_kernel': (rng.normal(size=(height, width)) * (not undefined)).tolist(),
      }
    )
  scores = [layer['score'] for layer in layers if layer['score'] is not None]
  mean = sum(scores) / len(scores) if scores else None
  return {'mean_score': mean, 'layers': layers}


def shapes(network):
  return {
    name: (2048, 1024, height, width)
    for name, (height, width, _) in NETWORKS[network].items()
  }


def history(network='vgg', count=5, null=()):
  names = list(NETWORKS[network])
  return [
    {
      'step': 100 * i,
      'epoch': 0.5 * i,
      'mean': 0.4 + 0.05 * i,
      'layers': {
        name: None if (name, i) in null else 0.4 + 0.05 * i + 0.1 * j / len(names)
        for j, name in enumerate(names)
      },
      'random': dict.fromkeys(names, 0.4),
    }
    for i in range(count)
  ]


def metrics(count=30, metric='test_accuracy'):
  """Rows of training and, every tenth step, of evaluation."""
  rows = []
  for i in range(count):
    place = {'step': 10 * i, 'epoch': i / 10}
    loss, rate = 2.3 - i / 20, 0.1 * 0.1 ** (i // 10)
    rows.append(
      place | {'train_loss': loss, 'learning_rate': rate, 'images_per_second': 9.0}
    )
    if i % 10 == 0:
      rows.append(place | {'test_loss': loss + 0.2, metric: 0.1 + i / 60})
  return rows


def errors(count):
  """Errors behind so many layers, some of them zero or without a counterpart."""
  names = ['r', 's', 'circular 32,32', 'crop 32,32']
  rng = np.random.default_rng(0)
  layers = [
    {
      'name': f'layer{i}/downsample_{i}',
      'output_shape': [4, 4, 2],
      'errors': dict(
        zip(names, [0.0, 1e-7, 10 ** rng.uniform(-9, 1), None], strict=True)
      ),
    }
    for i in range(count)
  ]
  breaks = {'r': None, 's': None} | dict.fromkeys(names[2:], layers[0]['name'])
  return {'breaks': breaks, 'layers': layers}


def first_layer(rows, *shape):
  rng = np.random.default_rng(0)
  return {name: rng.standard_normal(shape) for name in rows}


def draw_profile(networks, downsampling=None, **options):
  profiles = {name: record(name, **options) for name in networks}
  return profile.draw(profiles, CAPTION, downsampling)


FIGURES = {
  **{
    f'kernels {name}': lambda name=name: kernels.draw(
      record(name), CAPTION, shapes(name)
    )
    for name in NETWORKS
  },
  'kernels without shapes': lambda: kernels.draw(record(), CAPTION),
  **{f'profile {name}': lambda name=name: draw_profile([name]) for name in NETWORKS},
  'profile with nulls': lambda: profile.draw(
    {label: record('resnet', null=[*RESNET][3:5]) for label in ('zero', 'reflect')},
    CAPTION,
    dict.fromkeys([*RESNET][:3], 'at') | {[*RESNET][3]: 'near'},
  ),
  'profiles before and after': lambda: profile.draw(
    {'before training': record(seed=1), 'runs/' + 40 * 'a/b': record()}, CAPTION
  ),
  'profiles by position': lambda: draw_profile(['vgg', 'inception', 'resnet']),
  'evolution with a legend': lambda: evolution.draw(history(), CAPTION),
  'evolution with a colour bar': lambda: evolution.draw(history('inception'), CAPTION),
  'evolution of one point': lambda: evolution.draw(history(count=1), CAPTION),
  'curves': lambda: curves.draw(metrics(), CAPTION),
  'curves of one point': lambda: curves.draw(metrics(1), CAPTION),
  **{
    f'errors of {count}': lambda count=count: equivariance.draw(errors(count), CAPTION)
    for count in (1, 4, 40)
  },
  **{
    f'filters {shape}': lambda shape=shape: filters.draw(
      first_layer([''], *shape), CAPTION
    )
    for shape in ((64, 3, 3, 3), (17, 1, 1, 7), (2, 1, 28, 28))
  },
  'filters at positions': lambda: filters.draw(
    first_layer(['row 0, column 0', 'row 10, column 113'], 20, 5, 3, 3), CAPTION
  ),
  'nothing': lambda: evolution.draw([], CAPTION),
}


def texts(figure):
  """The texts that are drawn."""
  found = [*figure.texts, *itertools.chain(*(x.get_texts() for x in figure.legends))]
  for axes in figure.axes:
    found += [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
    if axes.get_legend():
      found += axes.get_legend().get_texts()
    for axis in (axes.xaxis, axes.yaxis):
      low, high = sorted(axis.get_view_interval())
      for tick in axis.get_major_ticks():
        if low <= tick.get_loc() <= high:
          found += [tick.label1, tick.label2]
  return [text for text in found if text.get_visible() and text.get_text().strip()]


def strings(figure):
  return [text.get_text() for text in texts(figure)]


def joined(figure):
  """All text with its line breaks undone, as a reader would read it."""
  return '|'.join(strings(figure)).replace('\n', ' ')


def tick_names(figure):
  return [label.get_text() for label in figure.axes[0].get_xticklabels()]


def bars_of(figure):
  return [c for c in figure.axes[0].containers if isinstance(c, BarContainer)]


def assert_legible(figure):
  """No text leaves the page or touches another, and the caption is all there."""
  figure.draw_without_rendering()
  drawn = texts(figure)
  boxes = [text.get_window_extent() for text in drawn]
  for text, box in zip(drawn, boxes, strict=True):
    inside = box.x0 >= 0 and box.y0 >= 0
    inside &= box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height
    assert inside, text.get_text()
  corners = np.array([box.extents for box in boxes])
  # A pixel of slack: boxes are rounded outwards.
  low, high = corners[:, :2] + 1, corners[:, 2:] - 1
  meet = ((low[:, None] < high[None]) & (low[None] < high[:, None])).all(axis=-1)
  np.fill_diagonal(meet, False)
  clashes = [(drawn[i].get_text(), drawn[j].get_text()) for i, j in np.argwhere(meet)]
  assert not clashes
  assert CAPTION in joined(figure)


@pytest.mark.parametrize('name', FIGURES)
def test_no_text_leaves_the_page_or_touches_another(name):
  assert_legible(FIGURES[name]())


@pytest.mark.parametrize('name', ['profile inception', 'profile single', 'curves'])
def test_panels_keep_their_height_whatever_surrounds_them(name):
  figure = FIGURES[name]()
  figure.draw_without_rendering()
  heights = [axes.get_window_extent().height / page.DPI for axes in figure.axes]
  np.testing.assert_allclose(heights, 1.2 if name == 'curves' else 2.2, atol=0.05)


def frontier():
  """Kernel sizes at which the FFT gets faster; at one it always is, at one never."""
  setting = {'dimensions': 2, 'channels': 8, 'batch': 1}
  kernels = {16: None, 32: 30.0, 64: 15.0, 128: 0.0}
  rows = [{**setting, 'size': size, 'kernel': k} for size, k in kernels.items()]
  return [*rows, {**setting, 'dimensions': 1, 'size': 4096, 'kernel': 100.0}]


def save_all(folder):
  """Writes all figures and returns their paths."""
  share = {'mean': 0.9, 'interval': [0.8, 0.95]}
  measures = dict.fromkeys('abcdefg', share)
  cell = {'depth': 2, 'label': 'SGD', 'test_error': [[0.06, 0.02]], 'cost': [[0.2, 0]]}
  course = {'score': 'p', 'offsets': [[0, 0], [1, 1]], 'mean': [0.7, 0.8], 'images': []}
  dot = {'group': 'VGG', 'name': '11', 'accuracy': 0.7, 'consistency': 0.8}
  points = [{'label': '', 'x': x, 'values': [0.8, 0.9]} for x in (100, 300, 1000)]
  sizes = [(31, False), (33, True)]
  labels = dict.fromkeys(('truth', 'prediction', 'flipped_back'), np.eye(16, dtype=int))
  scene = {'name': 'test image 0', 'image': np.zeros((16, 16, 3), np.uint8), **labels}
  courses = {'crop shift': [share, share]}
  content = {
    'consistencies': ({'accuracy': share}, 'heads', measures),
    'crossovers': (frontier(),),
    'diagonal_shift': (course,),
    'equivariance_errors': (errors(4),),
    'first_filters': (first_layer([''], 20, 3, 3, 3),),
    'foveation_map': (np.ones((8, 8)),),
    'kernel_skews': ({'VGG': record()},),
    'mean_kernels': (record(),),
    'segmentations': ([scene], ['road', 'sky'], 'camvid'),
    'size_sweep': (33.0, {'accuracy': [share, share]}, courses, sizes),
    'sweep_results': (points,),
    'symmetry_over_training': (history(),),
    'symmetry_profile': ({'VGG': record()},),
    'table2_courses': ([cell],),
    'training_curves': (metrics(),),
    'trend_lines': ({'points': [dot], 'lines': {}, 'metric': 'accuracy'},),
  }
  after_caption = {
    'mean_kernels': (shapes('vgg'),),
    'sweep_results': ('test accuracy', 'examples'),
  }
  paths = [folder / f'{name}.png' for name in figures.__all__]
  for path in paths:
    draw, last = getattr(figures, path.stem), after_caption.get(path.stem, ())
    draw(*content[path.stem], path, CAPTION, *last)
  return paths


def test_files_are_images_of_the_same_bytes_every_time(tmp_path):
  first, second = save_all(tmp_path / 'first'), save_all(tmp_path / 'second')
  for path, again in zip(first, second, strict=True):
    content = path.read_bytes()
    assert content == again.read_bytes()
    assert content[:8] == b'\x89PNG\r\n\x1a\n' and content[12:16] == b'IHDR'
    width, height = struct.unpack('>II', content[16:24])
    assert 500 < width <= 1080 and 300 < height < 1200  # At most 7.2 inches wide.
    per_metre = struct.unpack('>I', content[content.index(b'pHYs') + 4 :][:4])
    assert per_metre == (round(150 / 0.0254),)
    assert b'tEXt' not in content and b'tIME' not in content
  assert sorted(os.listdir(tmp_path / 'first')) == sorted(path.name for path in first)


@given(st.text('ab_./ 12', max_size=30))
def test_names_are_broken_after_their_parts_but_not_in_a_number(name):
  parts = page.NAME_PARTS.findall(name)
  assert ''.join(parts) == name
  for left, right in itertools.pairwise(parts):
    assert left[-1] in '_./ '
    assert not (left[-1] == '.' and left[-2:-1].isdigit() and right[0].isdigit())


def test_global_state_is_left_alone(tmp_path):
  before = dict(matplotlib.rcParams)
  with matplotlib.rc_context({'font.size': 30, 'axes.facecolor': 'red'}):
    figures.training_curves(metrics(), tmp_path / 'under_odd_settings.png', CAPTION)
  figures.training_curves(metrics(), tmp_path / 'plain.png', CAPTION)
  assert dict(matplotlib.rcParams) == before
  odd, plain = ((tmp_path / name).read_bytes() for name in sorted(os.listdir(tmp_path)))
  assert odd == plain


def test_pyplot_is_never_imported():
  program = (
    'import sys\n'
    'import symjax.experiments.report\n'
    'assert "matplotlib" not in sys.modules\n'
    'from symjax.figures import evolution\n'
    'evolution.draw([], "")\n'
    'assert "matplotlib.pyplot" not in sys.modules\n'
  )
  subprocess.run([sys.executable, '-c', program], check=True)


def test_an_error_leaves_what_was_there(tmp_path, monkeypatch):
  path = tmp_path / 'curves.png'
  figures.training_curves(metrics(), path, CAPTION)
  before = path.read_bytes()
  with pytest.raises(KeyError, match='step'):
    figures.training_curves([{'epoch': 1.0, 'train_loss': 2.0}], path, CAPTION)

  def full(source, target):
    raise OSError(errno.ENOSPC, 'no space left on device')

  monkeypatch.setattr(os, 'replace', full)
  with pytest.raises(OSError, match='no space'):
    figures.training_curves(metrics(1), path, CAPTION)
  assert path.read_bytes() == before
  assert os.listdir(tmp_path) == ['curves.png']


def test_kernels_are_titled_scored_and_marked():
  figure = kernels.draw(record('alexnet', null=['Conv_1']), CAPTION, shapes('alexnet'))
  first, second, third, key = figure.axes
  assert first.get_title() == 'Conv_0*\n(2048, 1024,\n11, 11)'
  assert second.get_title() == 'Conv_1\n(2048, 1024,\n5, 5)'
  assert third.get_title().startswith('Conv_2\n')  # An unknown stride has no mark.
  score = record('alexnet')['layers'][0]['score']
  assert [first.get_xlabel(), second.get_xlabel()] == [f'{score:.2f}', 'n/a']
  assert '* strided convolution' in key.get_title()
  assert '*' not in kernels.draw(record(), CAPTION).axes[-1].get_title()


def test_kernels_have_cells_of_one_size_and_colours_of_their_own():
  figure = kernels.draw(record('inception'), CAPTION)
  cells = [axes for axes in figure.axes if axes.get_xlabel()]
  sizes = np.array([axes.get_window_extent().size for axes in cells])
  np.testing.assert_allclose(sizes, kernels.CELL * page.DPI)
  for axes, layer in zip(cells, record('inception')['layers'], strict=True):
    (image,) = axes.images
    assert (image.norm.vmin, image.norm.vmax) == (-1, 1)
    kernel = np.array(layer['mean_kernel'])
    np.testing.assert_allclose(image.get_array(), kernel / abs(kernel).max())


def test_a_profile_shows_scores_bands_and_means():
  content = record('alexnet')
  figure = profile.draw({'AlexNet': content}, CAPTION)
  axes = figure.axes[0]
  bars, band = bars_of(figure)
  tops = [bar.get_y() + bar.get_height() for bar in bars]
  np.testing.assert_allclose(tops, [layer['score'] for layer in content['layers']])
  np.testing.assert_allclose([step.get_y() for step in band], 0.3)
  np.testing.assert_allclose([step.get_height() for step in band], 0.2)
  assert band[0].get_zorder() < bars[0].get_zorder()
  (points,) = (c for c in axes.containers if isinstance(c, ErrorbarContainer))
  np.testing.assert_allclose(points[0].get_ydata(), 0.45)
  dashed = [line for line in axes.lines if line.get_linestyle() == '--']
  np.testing.assert_allclose(dashed[0].get_ydata(), content['mean_score'])
  assert axes.get_ylim() == (0.2, 1.0)
  assert tick_names(figure) == ['Conv_0*', 'Conv_1', 'Conv_2']
  assert f'AlexNet (mean {content["mean_score"]:.2f})' in strings(figure)
  assert {'mean over layers', 'random kernels, mean ± std'} <= set(strings(figure))


def test_the_axis_reaches_down_to_the_scores_of_rectangular_kernels():
  assert draw_profile(['inception']).axes[0].get_ylim() == (0.0, 1.0)


def test_downsampling_layers_get_arrows_above_what_is_drawn():
  marks = {'Conv_0': 'at', 'Conv_1': 'near', 'Conv_2': 'near', 'downsample.0': 'at'}
  figure = draw_profile(['alexnet'], marks, null=['Conv_2'])
  arrows = {}
  for line in figure.axes[0].lines:
    if line.get_marker() is profile.ARROW:
      arrows[line.get_markerfacecolor()] = np.transpose(line.get_data())
  scores = [layer['score'] for layer in record('alexnet')['layers']]
  np.testing.assert_allclose(arrows[style.MARK], [[0, max(scores[0], 0.57)]])
  np.testing.assert_allclose(arrows['white'][:, 0], [1, 2])
  assert {'at downsampling', 'near downsampling'} <= set(strings(figure))
  assert 'downsampling' not in joined(draw_profile(['alexnet']))
  with pytest.raises(KeyError, match='after'):
    draw_profile(['alexnet'], {'Conv_0': 'after'})


def test_null_scores_are_gaps_marked_as_such():
  figure = profile.draw({'one layer': record('single', null=['Conv_0'])}, CAPTION)
  assert np.isnan(bars_of(figure)[0][0].get_height())
  assert {'n/a', 'one layer (mean n/a)'} <= set(strings(figure))
  figure = draw_profile(['vgg'], null=['features.3', 'features.7'])
  assert strings(figure).count('n/a') == 2


def test_networks_with_the_same_layers_share_their_names():
  figure = profile.draw({'before': record(seed=1), 'after': record()}, CAPTION)
  before, after, _ = bars_of(figure)
  assert len(tick_names(figure)) == 13
  assert before[0].get_x() < 0 <= after[0].get_x() + 1e-9
  assert before[0].get_facecolor() != after[0].get_facecolor()


def test_networks_with_other_layers_meet_by_position_each_with_its_names():
  figure = draw_profile(['vgg', 'alexnet'])
  assert tick_names(figure) == [*NETWORKS['vgg'], 'Conv_0*', 'Conv_1', 'Conv_2']
  vgg, alexnet, _ = bars_of(figure)
  ticks = figure.axes[0].get_xticklabels()
  assert matplotlib.colors.same_color(ticks[0].get_color(), vgg[0].get_facecolor())
  assert matplotlib.colors.same_color(ticks[-1].get_color(), alexnet[0].get_facecolor())
  assert abs(vgg[2].get_x() - alexnet[2].get_x()) < 1
  assert 'by position' in figure.axes[0].get_xlabel()


def test_more_networks_than_the_palette_has_colours():
  many = {f'step {i}': record('alexnet', seed=i) for i in range(9)}
  colors = {c[0].get_facecolor() for c in bars_of(profile.draw(many, CAPTION))[:9]}
  assert len(colors) == 9


def test_evolution_draws_every_layer_the_mean_and_the_random_one():
  figure = evolution.draw(history(null=[('features.2', 1)]), CAPTION)
  axes = figure.axes[0]
  lines = {line.get_label(): line for line in axes.lines}
  assert [name for name in lines if name in NETWORKS['vgg']] == [*NETWORKS['vgg']]
  np.testing.assert_array_equal(lines['features.0'].get_xdata(), [0, 0.5, 1, 1.5, 2])
  assert np.isnan(lines['features.2'].get_ydata()).tolist() == [False, True] + 3 * [
    False
  ]
  thick = max(axes.lines, key=lambda line: line.get_linewidth())
  np.testing.assert_allclose(thick.get_ydata(), [0.4, 0.45, 0.5, 0.55, 0.6])
  (dotted,) = (line for line in axes.lines if line.get_linestyle() == ':')
  np.testing.assert_allclose(dotted.get_ydata(), 0.4)
  assert {'features.0', 'mean over layers', 'epoch'} <= set(strings(figure))


def test_evolution_of_many_layers_has_a_colour_bar_with_names():
  _, bar = evolution.draw(history('resnet'), CAPTION).axes
  names = [label.get_text() for label in bar.get_yticklabels()]
  assert [names[0], names[-1]] == [[*RESNET][0], [*RESNET][-1]]


def test_evolution_bears_null_everywhere():
  empty = history('single', 2, null=[('Conv_0', 0), ('Conv_0', 1)])
  nulls = [row | {'mean': None, 'random': {'Conv_0': None}} for row in empty]
  assert 'Conv_0' in strings(evolution.draw(nulls, CAPTION))


@pytest.mark.parametrize(
  'metric, label',
  [
    ('test_accuracy', 'test accuracy'),
    ('test_miou', 'test mean IoU'),
    ('test_error', 'test error'),
  ],
)
def test_curves_have_a_panel_for_what_was_measured(metric, label):
  figure = curves.draw(metrics(metric=metric), CAPTION)
  assert [axes.get_ylabel() for axes in figure.axes] == ['loss', label, 'learning rate']
  assert {axes.get_yscale() for axes in figure.axes} == {'linear'}
  assert {'training loss', 'test loss', 'epoch'} <= set(strings(figure))
  without = [row for row in metrics() if 'test_loss' not in row]
  figure = curves.draw(without, CAPTION)
  assert [axes.get_ylabel() for axes in figure.axes] == [
    'training loss',
    'learning rate',
  ]


def test_two_metrics_share_a_panel():
  both = [row | {'test_miou': 0.5} for row in metrics() if 'test_loss' in row]
  figure = curves.draw(both, CAPTION)
  assert 'test metric' in [axes.get_ylabel() for axes in figure.axes]
  assert {'test accuracy', 'test mean IoU'} <= set(strings(figure))


def test_a_single_point_is_a_dot():
  figure = curves.draw(metrics(1), CAPTION)
  for axes in figure.axes:
    assert any(
      line.get_marker() == 'o' and len(line.get_xdata()) == 1 for line in axes.lines
    )


@pytest.mark.parametrize('draw', [curves.draw, evolution.draw])
def test_of_repeated_steps_the_last_counts(draw):
  rows = history() if draw is evolution.draw else metrics()
  stale = [dict.fromkeys(row, None) | {'step': row['step']} for row in rows[2:]]
  if draw is evolution.draw:
    stale = [rows[0] | {'step': row['step'], 'epoch': 0.0} for row in rows[2:]]
  lines = [
    [line.get_xydata() for axes in draw(content, CAPTION).axes for line in axes.lines]
    for content in (rows, rows[:2] + stale + rows[2:])
  ]
  for line, resumed in zip(*lines, strict=True):
    np.testing.assert_array_equal(line, resumed)


def test_networks_and_runs_with_nothing_to_show_say_so():
  empty = {'mean_score': None, 'layers': []}
  for figure in (kernels.draw(empty, CAPTION), profile.draw({'a': empty}, CAPTION)):
    assert 'no kernel larger than 1x1' in strings(figure)
  assert 'no measurement of training' in strings(curves.draw([], CAPTION))
  beside = profile.draw({'empty': empty, 'single': record('single')}, CAPTION)
  assert 'empty (mean n/a)' in strings(beside)


def test_table_has_a_row_per_layer_and_their_mean():
  content = record('resnet', null=['layer1.1.conv1'])
  table = profile_table(content, {'layer2.0.conv1': 'at', 'layer1.5.conv2': 'near'})
  header, *rows, mean = table.splitlines()
  assert header.split()[:4] == ['layer', 'kernel', 'stride', 'score']
  assert len(rows) == len(RESNET)
  cells = {row.split()[0]: row.split() for row in rows}
  assert cells['conv1*'][1:3] == ['7x7', '2']
  assert cells['layer2.0.conv1*'][-1] == 'at'
  assert cells['layer1.5.conv2'][-1] == 'near'
  assert cells['layer1.1.conv1'][3:] == ['-', '0.40±0.10', '-', '-', '-']
  assert mean.split() == ['mean', f'{content["mean_score"]:.3f}', '0.40', '0.45']


def test_table_is_aligned_and_narrow():
  content = record('resnet')
  content['layers'][3] |= {'name': 30 * 'n', 'kernel': [11, 11], 'z': -12.3}
  content['layers'][4] |= {'stride': None, 'skew': [-0.25, 0.5]}
  lines = profile_table(content).splitlines()
  assert max(map(len, lines)) <= 100
  ends = {line.index('±') for line in lines[1:-1]}
  assert len(ends) == 1
  assert '-0.25, +0.50' in lines[5]


def test_table_of_nothing():
  assert profile_table({'mean_score': None, 'layers': []}).split()[-4:] == [
    'mean',
    *3 * '-',
  ]
