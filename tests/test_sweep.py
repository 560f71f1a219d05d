"""`run.sweep`: cells, comparisons, and what is kept when a cell fails."""

import json
import pathlib
import shutil
import subprocess
import sys

import jax
import pytest
from scipy import stats

from run import command
from symjax.errors import UserError
from symjax.experiments.sweep import (
  compare_workdirs,
  experiment,
  make_cells,
  parse_grid,
  sweep,
  write_report,
)
from symjax.experiments.sweep.compare import Row, axis_of, compare
from symjax.statistics import holm

# ml_collections loads config files in a way that Python discourages.
pytestmark = pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')

ROOT = pathlib.Path(__file__).parent.parent
SMOKE = 'configs/mnist_archbn.py:smoke'
SHORT = {'train.epochs': ['1'], 'data.test_examples': ['16']}


def summary(accuracy, **others):
  return {
    'test_accuracy': accuracy,
    'mean_symmetry': 0.5,
    'parameters': 1234,
    'train_seconds': 60.0,
    'train_examples': 100,
    'test_examples': 50,
    'dataset': 'mnist',
    'dataset_note': 'Digits.',
    'hardware': '2 CPU cores',
    'commit': 'abc',
    'command': 'python -m run.train',
    **others,
  }


def row(accuracies, **settings):
  runs = {seed: summary(accuracy) for seed, accuracy in enumerate(accuracies)}
  return Row(settings, runs, {})


FIRST, SECOND = [0.9, 0.8, 0.85], [0.93, 0.84, 0.86]


def test_a_grid_is_read():
  texts = ['model.padding=zero,reflect', 'a=(1, 2),(3,)', 'seed=0,1,2', 'x=1e-3']
  assert parse_grid(texts) == {
    'model.padding': ['zero', 'reflect'],
    'a': ['(1, 2)', '(3,)'],
    'seed': ['0', '1', '2'],
    'x': ['1e-3'],
  }


@pytest.mark.parametrize(
  'texts, message',
  [
    (['seed'], 'not KEY=VALUE,VALUE'),
    (['=1'], 'not KEY=VALUE,VALUE'),
    (['seed=0,,1'], 'not KEY=VALUE,VALUE'),
    (['seed=0', 'seed=1'], 'seed twice'),
    (['seed=0,0'], 'a value twice'),
  ],
)
def test_mistakes_in_a_grid_are_named(texts, message):
  with pytest.raises(UserError, match=message):
    parse_grid(texts)


def test_cells_are_all_combinations_with_the_values_that_flags_would_give():
  files = ['configs/rotated_mnist_gcnn.py', 'configs/rotated_mnist_gcnn.py:p4']
  grid = parse_grid(['data.train_examples=10,20', 'seed=3,4', 'train.epochs=2'])
  cells = make_cells(files, grid, command.read_config)
  assert len(cells) == len({cell.name for cell in cells}) == 8
  assert [cell.config['seed'] for cell in cells] == [3, 4] * 4
  assert [cell.config['model']['group'] for cell in cells] == ['p4m'] * 4 + ['p4'] * 4
  assert cells[2].settings == {
    'config': 'rotated_mnist_gcnn',
    'data.train_examples': 20,
  }
  assert {cell.config['train']['epochs'] for cell in cells} == {2.0}
  assert cells[0].command == (
    'python -m run.train --config=configs/rotated_mnist_gcnn.py '
    '--config.data.train_examples=10 --config.seed=3 --config.train.epochs=2'
  )


@pytest.mark.parametrize(
  'files, grid, message',
  [
    (
      [SMOKE],
      'model.depht=2',
      '^configs.*with model.depht=2: unknown config key .depht. Did you mean "depth"',
    ),
    ([SMOKE], 'model.depth=two', 'depth=two'),
    ([SMOKE], 'model.padding.x=1', 'smoke with model.padding.x=1: '),
    (['configs/none.py'], 'seed=0', 'no config file configs/none.py; there are'),
    (['configs/mnist_archbn.py:smok'], 'seed=0', "unknown config variant 'smok'"),
    ([SMOKE, SMOKE], 'seed=0', '--config has one twice'),
  ],
)
def test_a_cell_without_a_config_is_named(files, grid, message):
  with pytest.raises(UserError, match=message) as failure:
    make_cells(files, parse_grid([grid]), command.read_config)
  assert '\n' not in str(failure.value)


def test_rows_are_compared_with_the_first_seed_by_seed():
  rows = [row(FIRST, a='x'), row(SECOND, a='y'), row([0.7, 0.9], a='z')]
  found = compare(rows)
  assert found[0] is None and found[1].against == found[2].against == 0
  p_values = [
    stats.ttest_rel(SECOND, FIRST).pvalue,
    stats.ttest_rel([0.7, 0.9], FIRST[:2]).pvalue,
  ]
  for one, p, adjusted in zip(found[1:], p_values, holm(p_values), strict=True):
    assert one.test.p == pytest.approx(p) and one.p_holm == pytest.approx(adjusted)
  assert found[1].test.mean_difference == pytest.approx(0.08 / 3)


def test_one_seed_in_common_is_no_comparison():
  assert compare([row(FIRST, a=1), row([0.9], a=2)]) == [None, None]


def test_along_an_axis_rows_at_the_same_value_are_compared():
  rows = [row(FIRST, net=net, size=n) for net in 'ab' for n in (100, 300, 1000)]
  assert axis_of(rows) == 'size'
  against = [one and one.against for one in compare(rows)]
  assert against == [None, None, None, 0, 1, 2]
  alone = [row(FIRST, size=n) for n in (100, 300, 1000)]
  assert [one and one.against for one in compare(alone)] == [None, 0, 0]


def test_conditions_changed_one_at_a_time_are_compared_with_the_first():
  changed = [
    dict(flip=False, width=2),
    dict(flip=True, width=1),
    dict(flip=True, width=4),
  ]
  rows = [row(FIRST, flip=True, width=2), *(row(SECOND, **one) for one in changed)]
  assert axis_of(rows) is None
  assert [one and one.against for one in compare(rows)] == [None, 0, 0, 0]


def test_a_grid_with_a_gap_still_has_its_axis():
  rows = [row(FIRST, net=net, size=n) for net in 'ab' for n in (100, 300, 1000)]
  assert axis_of(rows[:-1]) == 'size'
  first, *_, last = rows = [*rows[:3], rows[4]]
  assert first.settings['net'] != last.settings['net']
  assert [one and one.against for one in compare(rows)] == [None, None, None, 1]


@pytest.mark.parametrize('values', [(1, 2), ('x', 'y', 'z'), (True, False, 3)])
def test_few_values_and_words_are_no_axis(values):
  assert axis_of([row(FIRST, key=value) for value in values]) is None


def write(folder, seed, accuracy, layers=(), **model):
  folder.mkdir(parents=True)
  config = {'seed': seed, 'data': {'name': 'mnist'}, 'model': model}
  (folder / 'config.json').write_text(json.dumps(config))
  made = summary(accuracy, seed=seed)
  (folder / 'summary.json').write_text(json.dumps(made | {'name': folder.name}))
  (folder / 'profile.json').write_text(json.dumps({'layers': layers}))
  return folder


def test_workdirs_that_exist_are_named_by_what_differs(tmp_path):
  folders = [
    write(tmp_path / f'{padding}{seed}', seed, accuracy, padding=padding, depth=2)
    for padding, accuracies in {'zero': FIRST, 'reflect': SECOND}.items()
    for seed, accuracy in enumerate(accuracies)
  ]
  rows = compare_workdirs(folders)
  assert [one.settings for one in rows] == [
    {'model.padding': 'zero'},
    {'model.padding': 'reflect'},
  ]
  text = write_report(rows, tmp_path / 'out').text
  first, second = text.splitlines()[2:4]
  assert '| 1. model.padding=zero | 1,234 | 0.8500 ± 0.0500 |' in first
  assert (
    '+0.0267' in second and '| 1 | 0.50 ± 0.00 | 1.0 ± 0.0 min | 0, 1, 2 |' in second
  )
  assert 'mnist: 100 / 50' in text and '2 CPU cores' in text and 'abc' in text
  written = json.loads((tmp_path / 'out/sweep.json').read_text())
  assert [one['values'] for one in written['rows']] == [FIRST, SECOND]
  p = stats.ttest_rel(SECOND, FIRST).pvalue
  assert written['rows'][1]['test']['p'] == pytest.approx(p)
  assert (tmp_path / 'out/sweep.md').read_text() == f'{text}\n'
  assert (tmp_path / 'out/figures/sweep.png').read_bytes().startswith(b'\x89PNG')


def test_rows_are_named_by_how_they_differ_from_the_first(tmp_path):
  rows = [
    row(FIRST, padding='zero', downsampling='stride'),
    row(SECOND, padding='zero', downsampling='blur'),
    row(SECOND, padding='reflect', downsampling='stride'),
    row(SECOND, padding='reflect', downsampling='blur'),
  ]
  lines = write_report(rows, tmp_path / 'out').text.splitlines()[2:6]
  assert [line.split(' | ')[0] for line in lines] == [
    '| 1. padding=zero, downsampling=stride',
    '| 2. downsampling=blur',
    '| 3. padding=reflect',
    '| 4. padding=reflect, downsampling=blur',
  ]


def layer(name, stride, score, skew):
  return {
    'name': name,
    'stride': stride,
    'score': score,
    'skew': skew,
    'individual_mean': 0.4,
  }


def test_measures_are_of_the_layers_that_have_a_stride_in_any_run(tmp_path):
  """A remedy may take the stride away; what it was is still compared."""
  folders = []
  for seed, lean in enumerate([0.1, 0.2, 0.4]):
    for padding, stride, sign in (('zero', 2, -1), ('reflect', 1, 1)):
      layers = [
        layer('a', 1, 0.9, [0.0, 3.0]),
        layer('b', stride, 0.5 + lean, [sign * lean, sign * lean]),
        layer('c', stride, None, None),
      ]
      path = tmp_path / f'{padding}{seed}'
      folders.append(write(path, seed, 0.5, layers, padding=padding))
  names = ['strided_skew', 'strided_symmetry', 'unstrided_symmetry']
  rows = compare_workdirs(folders, names)
  report = write_report(rows, tmp_path / 'out', measures=names)
  written = json.loads((tmp_path / 'out/sweep.json').read_text())['measures']
  zero, reflect = written['strided_skew']
  assert zero['values'] == pytest.approx([2**0.5 * lean for lean in (0.1, 0.2, 0.4)])
  assert reflect['mean'] == pytest.approx(-zero['mean'])
  expected = stats.ttest_rel(reflect['values'], zero['values']).pvalue
  assert reflect['test']['p'] == pytest.approx(expected)
  assert written['strided_symmetry'][0]['values'] == pytest.approx([0.6, 0.7, 0.9])
  assert written['unstrided_symmetry'][1]['values'] == [0.9] * 3
  assert report.text.count('| 2. model.padding=reflect |') == 4
  figure = tmp_path / 'out/figures/sweep_strided_skew.png'
  assert figure.read_bytes().startswith(b'\x89PNG')


def test_measures_that_a_run_lacks_are_named(tmp_path):
  plain = write(tmp_path / 'plain', 0, 0.5, [layer('a', 1, 0.9, [0.0, 0.0])])
  with pytest.raises(UserError, match='plain has no strided_skew: none of its layers'):
    compare_workdirs([plain], ['strided_skew'])
  with pytest.raises(UserError, match="no 'crop_shift'.*python -m run.evaluate"):
    compare_workdirs([plain], ['crop_shift'])
  found = {'consistency': {'crop_shift': {'mean': 0.75}}}
  (plain / 'evaluation.json').write_text(json.dumps(found))
  [only] = compare_workdirs([plain], ['crop_shift'])
  assert only.runs[0]['crop_shift'] == 0.75
  with pytest.raises(UserError, match="no 'flip'; it has .*strided_skew.*crop_shift"):
    compare_workdirs([plain], ['flip'])
  with pytest.raises(UserError, match="has 'crop_shift' after training: choose from"):
    sweep(cells(), tmp_path / 'new', str(tmp_path / 'none'), measures=['crop_shift'])
  assert not (tmp_path / 'new').exists()


def test_runs_of_different_metrics_are_not_compared(tmp_path):
  other = Row({'a': 2}, {0: {'test_error': 1.0}}, {})
  with pytest.raises(UserError, match='different metrics .*test_accuracy, test_error'):
    write_report([row(FIRST, a=1), other], tmp_path)
  assert not list(tmp_path.iterdir())


def cells(**grid):
  values = SHORT | {key.replace('__', '.'): texts for key, texts in grid.items()}
  return make_cells([SMOKE], values, command.read_config)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """A sweep of two cells, of which one diverges, and its report."""
  folder = tmp_path_factory.mktemp('sweep')
  rates = ['0.1', '1e30']
  asked = cells(optimizer__name=['sgd'], optimizer__learning_rate=rates)
  with jax.numpy_dtype_promotion('standard'):  # For optax's schedules.
    return folder, asked, sweep(asked, folder, str(folder / 'none'))


def test_a_failed_cell_is_reported_and_the_rest_kept(finished):
  folder, asked, report = finished
  [failure] = report.failures
  assert failure.startswith('optimizer.learning_rate=1e+30, seed=0: ')
  assert '\n' not in failure
  assert '| failed |' in report.text and 'Failed: optimizer' in report.text
  good, bad = json.loads((folder / 'sweep.json').read_text())['rows']
  assert good['seeds'] == [0] and not good['failures']
  assert bad['seeds'] == [] and set(bad['failures']) == {'0'}
  complete = [(folder / cell.name / 'summary.json').exists() for cell in asked]
  assert complete == [True, False]


def test_finished_cells_are_not_trained_again(finished, tmp_path, monkeypatch):
  folder, asked, report = finished
  copied = shutil.copytree(folder, tmp_path / 'copied')
  trained = []

  def train(config, workdir, *others):
    if not (workdir / 'summary.json').exists():
      trained.append(config['optimizer']['learning_rate'])
      raise UserError(report.failures[0].partition(': ')[2])
    return {}

  monkeypatch.setattr(experiment, 'train', train)
  assert sweep(asked, copied, str(folder / 'none')).text == report.text
  assert trained == [1e30]  # The one that failed.


def test_a_cell_that_cannot_be_built_is_named_before_any_is_trained(tmp_path):
  asked = cells(model__padding=['zero', 'refect'])
  with pytest.raises(UserError, match='^model.padding=refect, seed=0: unknown padding'):
    sweep(asked, tmp_path / 'sweep', str(tmp_path / 'none'))
  assert not (tmp_path / 'sweep').exists()


def test_a_sweep_of_failures_alone_is_an_error(tmp_path, monkeypatch):
  def train(*arguments):
    raise UserError('a loss of nan')

  monkeypatch.setattr(experiment, 'train', train)
  with pytest.raises(UserError, match='all 2 cells failed; the first: a loss of nan'):
    sweep(cells(seed=['0', '1']), tmp_path, str(tmp_path / 'none'))


def test_a_signal_stops_the_sweep(tmp_path, monkeypatch):
  monkeypatch.setattr(experiment, 'train', lambda *arguments: None)
  assert sweep(cells(), tmp_path, str(tmp_path / 'none')) is None
  assert not list(tmp_path.iterdir())


def run(*flags):
  return subprocess.run(
    [sys.executable, '-m', 'run.sweep', *flags],
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=100,
  )


@pytest.mark.parametrize(
  'flags, message',
  [
    (
      [f'--config={SMOKE}', '--grid=seed=0,1', '--grid=model.depht=2,4'],
      'unknown config key \'depht\' Did you mean "depth"',
    ),
    (['--grid=seed=0,1'], 'give --config and --grid to train, or --workdirs'),
  ],
)
def test_mistakes_get_one_line_and_exit_2(flags, message, tmp_path):
  result = run(*flags, f'--workdir={tmp_path / "sweep"}')
  assert result.returncode == 2
  assert result.stderr.startswith('error: ') and message in result.stderr
  assert len(result.stderr.strip().splitlines()) == 1
  assert not list(tmp_path.iterdir())


def test_the_program_compares_workdirs(tmp_path):
  write(tmp_path / 'one', 0, 0.9, padding='zero')
  write(tmp_path / 'other', 0, 0.8, padding='reflect')
  out = tmp_path / 'out'
  result = run(
    f'--workdirs={tmp_path / "one"},{tmp_path / "other"}', f'--workdir={out}'
  )
  assert result.returncode == 0, result.stderr
  assert '| 2. model.padding=reflect | 1,234 | 0.8000 |' in result.stdout
  assert json.loads((out / 'sweep.json').read_text())['command'].startswith('python -m')
