"""The main job as a user meets it: commands, files, and errors of one line."""

import importlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import imagenet_files as files
import jax
import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

from run.command import read_config
from symjax.checkpoints import CheckpointStore, saved_steps
from symjax.errors import UserError
from symjax.experiments.data import load_splits
from symjax.experiments.initial_weights import load_initial_weights
from symjax.experiments.setup import build_for
from symjax.experiments.soak import find_problems
from symjax.experiments.train import train
from symjax.experiments.weights import measure_weights
from symjax.experiments.workdir import Workdir
from symjax.records import Log

ROOT = pathlib.Path(__file__).parent.parent
CONFIGS = sorted(path.stem for path in (ROOT / 'configs').glob('[a-z]*_*.py'))
FIGURES = (
  'mean_kernels',
  'symmetry_profile',
  'symmetry_over_training',
  'training_curves',
  'filters',
)
SMOKE = '--config=configs/digits_vgg.py:smoke'


def command(program, *flags, workdir=None, devices=1):
  """Arguments of a subprocess that runs a program of `run/` on so many CPU devices."""
  # ml_collections loads config files in a way that Python discourages.
  strict = ('-W', 'error', '-W', 'ignore:the load_module:DeprecationWarning')
  arguments = [sys.executable, *strict, '-m', f'run.{program}', *flags]
  if workdir is not None:
    arguments.append(f'--workdir={workdir}')
  environment = os.environ | {'JAX_NUM_CPU_DEVICES': str(devices)}
  return dict(args=arguments, cwd=ROOT, env=environment, text=True)


def run(*arguments, **options):
  return subprocess.run(
    **command(*arguments, **options), capture_output=True, timeout=300
  )


def final_params(workdir):
  store = CheckpointStore(pathlib.Path(workdir) / 'checkpoints')
  params = store.restore_params(store.latest_step())
  store.close()
  return params


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """A workdir of a smoke run that was never interrupted, and what it printed."""
  workdir = tmp_path_factory.mktemp('runs') / 'digits'
  result = run('train', SMOKE, workdir=workdir)
  assert result.returncode == 0, result.stderr
  return workdir, result


def test_a_run_leaves_every_file_of_the_contract(finished):
  workdir, result = finished
  summary = json.loads((workdir / 'summary.json').read_text())
  assert 0 <= summary['test_accuracy'] <= 1
  for key in ('mean_symmetry', 'steps', 'train_seconds', 'images_per_second',
              'parameters', 'commit', 'versions'):  # fmt: skip
    assert key in summary
  config = json.loads((workdir / 'config.json').read_text())
  assert config['model']['name'] == 'vgg'
  rows = Log(workdir / 'metrics.jsonl').read()
  assert rows[0]['step'] == 0 and 0.3 < rows[0]['mean_symmetry'] < 0.55
  assert rows[-1]['step'] == summary['steps']
  profile = json.loads((workdir / 'profile.json').read_text())
  assert profile['mean_score'] == pytest.approx(summary['mean_symmetry'], abs=1e-6)
  assert profile['mean_score'] == pytest.approx(rows[-1]['mean_symmetry'], abs=1e-6)
  assert all(layer['stride'] == 1 for layer in profile['layers'])
  for name in FIGURES:
    assert (workdir / 'figures' / f'{name}.png').read_bytes().startswith(b'\x89PNG')
  assert list((workdir / 'tensorboard').glob('events.out.tfevents.*'))
  assert 'features_0' in result.stdout and 'is complete' in result.stdout


def test_tensorboard_has_the_same_scalars(finished):
  workdir, _ = finished
  [path] = (workdir / 'tensorboard').glob('events.out.tfevents.*')
  data, events = path.read_bytes(), {}
  while data:  # A record: length, its checksum, the event, its checksum.
    length = int.from_bytes(data[:8], 'little')
    event = Event.FromString(data[12 : 12 + length])
    events |= {(event.step, v.tag): v.simple_value for v in event.summary.value}
    data = data[16 + length :]
  rows = Log(workdir / 'metrics.jsonl').read()
  for row in rows:
    for name, value in row.items():
      if name not in ('step', 'symmetry'):
        assert events[row['step'], name] == pytest.approx(value, rel=1e-6)
    for name, value in row.get('symmetry', {}).items():
      assert events[row['step'], f'symmetry/{name}'] == pytest.approx(value, rel=1e-6)


def test_the_same_command_again_says_complete_and_changes_nothing(finished):
  workdir, _ = finished
  before = {p: p.stat().st_mtime_ns for p in workdir.rglob('*') if p.is_file()}
  result = run('train', SMOKE, workdir=workdir)
  assert result.returncode == 0 and 'is complete' in result.stdout
  after = {p: p.stat().st_mtime_ns for p in workdir.rglob('*') if p.is_file()}
  assert before == after


def test_another_config_on_the_same_workdir_is_refused(finished):
  workdir, _ = finished
  result = run('train', SMOKE, '--config.model.padding=reflect', workdir=workdir)
  assert result.returncode == 2
  assert 'model.padding=zero (now reflect)' in result.stderr
  assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize('how', [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(finished, tmp_path, how):
  """Bit for bit on CPU, wherever the signal fell and however often it saved."""
  flags = (SMOKE, '--config.train.checkpoint_every=2')
  workdir = tmp_path / 'stopped'
  process = subprocess.Popen(
    **command('train', *flags, workdir=workdir), stderr=subprocess.PIPE
  )
  deadline = time.monotonic() + 120
  log = workdir / 'metrics.jsonl'
  while not log.exists() or b'"step": 4' not in log.read_bytes():
    assert time.monotonic() < deadline and process.poll() is None
    time.sleep(0.01)
  process.send_signal(how)
  _, errors = process.communicate(timeout=60)
  if how == signal.SIGTERM:
    assert process.returncode == 0, errors
  assert not (workdir / 'summary.json').exists()

  result = run('train', *flags, workdir=workdir)
  assert result.returncode == 0, result.stderr
  jax.tree.map(
    np.testing.assert_array_equal, final_params(workdir), final_params(finished[0])
  )


def test_a_damaged_checkpoint_and_a_signal_while_results_are_written_lose_nothing(
  finished, tmp_path
):
  workdir = shutil.copytree(finished[0], tmp_path / 'damaged')
  (workdir / 'summary.json').unlink()
  (workdir / 'profile.json').unlink()
  shutil.rmtree(workdir / 'checkpoints' / '8' / 'state')
  process = subprocess.Popen(
    **command('train', SMOKE, workdir=workdir), stderr=subprocess.PIPE
  )
  deadline = time.monotonic() + 120
  while not (workdir / 'profile.json').exists():
    assert time.monotonic() < deadline and process.poll() is None
    time.sleep(0.01)
  process.send_signal(signal.SIGTERM)
  _, errors = process.communicate(timeout=60)
  assert process.returncode == 0, errors
  line = errors.splitlines()[0]
  assert 'step 8 is damaged (state/_METADATA is missing or torn)' in line
  assert line.endswith('set aside as *.damaged, going on from step 4')
  summaries = [
    json.loads((path / 'summary.json').read_text()) for path in (workdir, finished[0])
  ]
  assert summaries[0]['test_accuracy'] == summaries[1]['test_accuracy']
  jax.tree.map(
    np.testing.assert_array_equal, final_params(workdir), final_params(finished[0])
  )
  assert not list(find_problems(workdir))


def free_port():
  with socket.socket() as listener:
    listener.bind(('127.0.0.1', 0))
    return listener.getsockname()[1]


@pytest.mark.parametrize(
  'turns',
  [[(2, 2)], pytest.param([(4, 1), (2, 2)], marks=pytest.mark.long)],
  ids=['two', 'four-then-two'],
)
def test_processes_on_a_stream_train_as_one_in_memory_does(tmp_path, turns):
  """10 steps in float64, to 1e-9, on a small ImageNet; from step 6 others go on.

  Args:
    turns: numbers of processes, and of devices of each.
  """
  archives, data_dir = tmp_path / 'manual', tmp_path / 'data'
  files.write_archives(archives, per_class=54, validation=16, sides=(16, 24))
  files.prepare(data_dir, archives)
  flags = (
    SMOKE,
    '--config.data.name=imagenet2012',
    '--config.data.test_split=validation',
    '--config.data.train_examples=160',
    '--config.data.image_size=16',
    '--config.model.dtype=float64',
    '--config.model.stages=1',
    '--config.train.epochs=1',
    '--config.train.checkpoint_every=6',
    '--config.augmentation.flip=True',
    f'--data_dir={data_dir}',
  )
  result = run('train', *flags, workdir=tmp_path / 'one', devices=4)
  assert result.returncode == 0, result.stderr
  expected = final_params(tmp_path / 'one')

  workdir, streamed = tmp_path / 'streamed', (*flags, '--config.data.stream=True')
  for turn, (count, devices) in enumerate(turns):
    if turn:  # As if the run had been killed after step 6.
      (workdir / 'summary.json').unlink()
      shutil.rmtree(workdir / 'checkpoints' / '10')
      assert saved_steps(workdir / 'checkpoints') == [6]
    how = ('local', f'--processes={count}', f'--devices={devices}')
    result = run('launch', *how, '--', 'run.train', *streamed, workdir=workdir)
    assert result.returncode == 0, result.stderr
    summary = json.loads((workdir / 'summary.json').read_text())
    assert (summary['processes'], summary['devices']) == (count, 4)
    assert summary['steps'] == 10
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-9),
      final_params(workdir),
      expected,
    )


def test_a_checkpoint_is_profiled_as_the_run_did(finished, tmp_path):
  workdir, _ = finished
  result = run('profile', f'--out={tmp_path}', workdir=workdir)
  assert result.returncode == 0, result.stderr
  ours, theirs = (
    json.loads((folder / 'profile.json').read_text()) for folder in (tmp_path, workdir)
  )
  assert ours == theirs
  assert {path.stem for path in (tmp_path / 'figures').iterdir()} == set(FIGURES)


def test_a_checkpoint_says_which_layer_breaks_which_symmetry(finished, tmp_path):
  workdir, _ = finished
  result = run('equivariance', f'--out={tmp_path}', workdir=workdir)
  assert result.returncode == 0, result.stderr
  record = json.loads((tmp_path / 'equivariance.json').read_text())
  assert (record['model'], record['step'], record['images']) == ('vgg', 8, 32)
  assert set(record['breaks'].values()) == {'features_0'}
  assert 'features_0 breaks r, r2, ' in result.stdout
  assert [path.name for path in (tmp_path / 'figures').iterdir()] == [
    'equivariance.png'
  ]


def test_a_checkpoint_is_evaluated_where_the_run_tested_it(finished, tmp_path):
  workdir, _ = finished
  result = run('evaluate', f'--out={tmp_path}', workdir=workdir)
  assert result.returncode == 0, result.stderr
  record = json.loads((tmp_path / 'evaluation.json').read_text())
  summary = json.loads((workdir / 'summary.json').read_text())
  assert record['test_accuracy']['mean'] == pytest.approx(summary['test_accuracy'])
  assert record['crop_shift']['scene'] == [37, 37]
  for found in record['consistency'].values():
    low, high = found['interval']
    assert 0 <= low <= found['mean'] <= high <= 1
  assert 'consistency: crop shift' in result.stdout


def test_what_is_to_be_evaluated_has_to_be_said():
  result = run('evaluate', SMOKE)
  assert result.returncode == 2
  assert result.stderr == (
    'error: give --workdir, of a run, or --weights with --config\n'
  )


def test_sizes_to_audit_are_numbers_of_pixels():
  result = run('audit', SMOKE, '--size=big')
  assert result.returncode == 2
  assert result.stderr == (
    'error: --size=big; give PIXELS or HEIGHTxWIDTH, such as 224\n'
  )


@pytest.mark.parametrize(
  'flags, message',
  [
    ((), 'give either --workdir, of a run, or --config, of a new network'),
    ((SMOKE, '--workdir=none'), 'give either --workdir, of a run, or --config'),
    ((SMOKE,), '--config alone names no folder to write to: give --out=DIR'),
  ],
)
def test_equivariance_is_of_a_run_or_of_a_config(flags, message):
  result = run('equivariance', *flags)
  assert result.returncode == 2
  assert message in result.stderr
  assert len(result.stderr.strip().splitlines()) == 1


def smoke_config(name):
  """Plain values of a config's smoke variant."""
  return importlib.import_module(f'configs.{name}').get_config('smoke').to_dict()


@pytest.mark.parametrize('config', CONFIGS)
def test_every_config_has_a_smoke_variant(config, tmp_path):
  """Its data are there, and its network and optimiser can be made."""
  values = smoke_config(config)
  split = load_splits(values['data'], str(tmp_path), None).train
  assert len(split.images) == 64
  setup = build_for(values, split)
  assert setup.schedule.steps == 8
  with jax.numpy_dtype_promotion('standard'):
    assert jax.eval_shape(setup.create_state).params


# A config for each; a VGG's is `finished`, SegNet's is trained in
# `test_experiments_segmentation_training.py`, and the deep ones take long to compile.
NETWORKS = {smoke_config(name)['model']['name']: name for name in CONFIGS}
for left_out in (
  'vgg', 'segnet', 'alexnet', 'cifar_resnet', 'fcn', 'inception_v3', 'resnet'
):  # fmt: skip
  NETWORKS.pop(left_out)


@pytest.mark.parametrize(
  'config',
  [
    config if name == 'archbn' else pytest.param(config, marks=pytest.mark.long)
    for name, config in NETWORKS.items()
  ],
)
def test_a_config_of_every_shallow_network_runs(config, tmp_path):
  result = run(
    'train',
    f'--config=configs/{config}.py:smoke',
    f'--data_dir={tmp_path / "none"}',
    workdir=tmp_path / 'run',
  )
  assert result.returncode == 0, result.stderr
  assert json.loads((tmp_path / 'run' / 'summary.json').read_text())['steps'] == 8


MISTAKES = {
  '--config.model.paddng=reflect': 'unknown config key .paddng. Did you mean "padding"',
  '--config.model.padding=refect': "unknown padding 'refect'; choose from zero, ref",
  '--config.optimizer.learning_rate=1e30': 'at step 2; there is no checkpoint yet',
  '--workdr=runs': "Unknown command line flag 'workdr'",
  'train': "unexpected argument 'train'",
}


@pytest.mark.parametrize(
  'flags',
  [
    pytest.param(flags, marks=pytest.mark.long) if '1e30' in flags else flags
    for flags in MISTAKES
  ],
)
def test_mistakes_get_one_line_and_exit_2(flags, tmp_path):
  workdir = tmp_path / 'run'
  result = run('train', SMOKE, *flags.split(), workdir=workdir, devices=4)
  *progress, line = result.stderr.strip().splitlines()
  assert result.returncode == 2, result.stderr
  assert all(line.startswith('step') for line in progress)
  assert line.startswith('error: ') and re.search(MISTAKES[flags], line), line
  assert not (workdir / 'summary.json').exists()
  assert workdir.exists() == ('1e30' in flags)  # Only training leaves traces.


# What a program does with the errors is tested above, and a process takes seconds.
VALUES = {
  'modle.depth=11': 'unknown config key .modle. Did you mean "model"',
  'model.depth=eleven': 'depth=eleven',
  'model.depth=12': 'no VGG-12; choose depth from 11, 13, 16, 19',
  'model.name=wgg': "unknown model 'wgg'; choose from alexnet, archbn",
  'model.width=0.001': 'without channels; the narrowest is',
  'data.name=digits_rendered': 'digits_rendered',
  'optimizer.name=sdg': "unknown optimizer 'sdg'; choose from sgd, adamw",
  'schedule.name=cosin': "unknown schedule 'cosin'; choose from",
  'data.image_size=8': r'does not fit .* data.image_size=16',
  'data.crop_area=(0.1,1.0)': 'crop_area is of images that are streamed',
  'train.batch_size=15': 'batch of 15 does not divide among 4 devices',
  'train.epochs=0.1': 'less than one batch of 16',
  'train.log_every=0': 'train.log_every=0 must be positive',
  'seed=-1': 'seed=-1 is not one of 0',
  'augmentation.shift=-1': 'augmentation.shift=-1 pixels',
  'train.epochs=inf': 'train.epochs=inf must be positive',
  'data.train_examples=-5': 'train_examples=-5 must be positive',
  'data.mean=(0.5,)': 'for images of 3 channels',
}


@pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')
@pytest.mark.parametrize('given', VALUES)
def test_values_that_cannot_be_are_named_before_anything_is_written(
  given, tmp_path, standard_promotion
):
  key, value = given.split('=')
  with pytest.raises(UserError, match=VALUES[given]) as failure:
    config = read_config(str(ROOT / 'configs/digits_vgg.py:smoke'), {key: value})
    train(config, tmp_path / 'run')
  assert '\n' not in str(failure.value)
  assert not (tmp_path / 'run').exists()


def test_config_files_that_do_not_exist_are_named(tmp_path):
  result = run('train', '--config=configs/digits.py', workdir=tmp_path)
  assert result.returncode == 2
  assert (
    'no config file configs/digits.py; there are configs/camvid_fcn' in result.stderr
  )


def test_an_unwritable_workdir_is_named(tmp_path):
  (tmp_path / 'file').write_text('')
  result = run('train', SMOKE, workdir=tmp_path / 'file' / 'run')
  assert result.returncode == 2
  assert result.stderr.startswith('error: ') and 'Not a directory' in result.stderr


def test_a_workdir_is_trained_in_by_one_run_at_a_time(tmp_path):
  with Workdir(tmp_path).locked():
    result = run('train', SMOKE, workdir=tmp_path)
  assert result.returncode == 2
  assert 'is being trained in by another process' in result.stderr


def test_a_workdir_without_its_config_is_not_taken_for_a_free_one(tmp_path):
  (tmp_path / 'checkpoints').mkdir()
  result = run('train', SMOKE, workdir=tmp_path)
  assert result.returncode == 2
  assert 'holds a run without config.json; choose another --workdir' in result.stderr


def test_profiling_leaves_alone_what_a_training_is_writing(finished, tmp_path):
  workdir, _ = finished
  unfinished = workdir / 'checkpoints' / '99.orbax-checkpoint-tmp'
  unfinished.mkdir()
  assert run('profile', f'--out={tmp_path}', workdir=workdir).returncode == 0
  unfinished.rmdir()  # Still there.


def test_a_run_starts_from_another_ones_weights_and_goes_on_without_them(
  finished, tmp_path
):
  start, _ = finished
  workdir = tmp_path / 'run'
  result = run('train', SMOKE, f'--init_weights={start}', workdir=workdir)
  assert result.returncode == 0, result.stderr
  assert f'starts from {start.name}\n' in result.stdout
  before, after = (Log(path / 'metrics.jsonl').read() for path in (start, workdir))
  for key in ('test_loss', 'mean_symmetry'):
    assert after[0][key] == pytest.approx(before[-1][key], rel=1e-5)
  record = json.loads((workdir / 'init_weights.json').read_text())
  assert record['file'] == start.name and len(record['sha256']) == 64
  # Once there is a checkpoint, the file is not read.
  assert load_initial_weights(Workdir(workdir), None, 'gone') is None


def test_what_to_profile_is_a_run_or_files():
  result = run('profile', '--workdir=a', '--weights=b')
  assert result.returncode == 2
  message = 'give either --workdir, of a run, or --weights, of files'
  assert result.stderr == f'error: {message}\n'


def test_a_profile_of_weights_is_that_of_the_run(finished):
  workdir, _ = finished
  found = measure_weights(workdir)
  assert 'Flax, HWIO by the names; the network is a vgg' in found.summary()
  assert found.folded == 'no'
  own = json.loads((workdir / 'profile.json').read_text())
  for layer, theirs in zip(found.profile['layers'], own['layers'], strict=True):
    assert layer['name'] == theirs['name'] and layer['stride'] == theirs['stride']
    assert layer['score'] == pytest.approx(theirs['score'], abs=1e-6)


def test_profiling_needs_a_run(tmp_path):
  result = run('profile', workdir=tmp_path)
  assert result.returncode == 2
  assert 'is no workdir of run.train' in result.stderr
  assert not list(tmp_path.iterdir())


def test_data_that_cannot_be_had_are_named_within_seconds(tmp_path):
  """A file of the right name and other content: nothing is downloaded."""
  for name in ('train-images-idx3', 'train-labels-idx1', 't10k-images-idx3',
               't10k-labels-idx1'):  # fmt: skip
    (tmp_path / f'{name}-ubyte.gz').write_bytes(b'torn')
  began = time.monotonic()
  result = run(
    'data',
    '--config=configs/mnist_vgg.py',
    f'--data_dir={tmp_path / "none"}',
    f'--manual_dir={tmp_path}',
  )
  assert time.monotonic() - began < 30
  assert result.returncode == 2
  assert 'sha256 should be 440fcabf73cc' in result.stderr
  assert len(result.stderr.strip().splitlines()) == 1
  assert result.stdout.count('corrupt:') == 4


def test_benchmarks_print_a_ratio_and_what_it_is_against():
  result = run('benchmark', 'profile')
  assert result.returncode == 0, result.stderr
  record = json.loads(result.stdout)
  assert record['ratio'] == pytest.approx(
    record['seconds'] / record['seconds_against'], rel=0.5
  )
  assert record['against'] == 'one jitted sum over the same kernels'


def test_results_are_printed_as_a_table(finished):
  workdir, _ = finished
  result = run('results', f'--workdirs={workdir}')
  assert result.returncode == 0, result.stderr
  assert '--config=configs/digits_vgg.py:smoke' in result.stdout
