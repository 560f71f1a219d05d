"""Profiles of weights from anywhere, and the networks that they are of."""

import json
import pathlib

import numpy as np
import pytest
from score_reference import plain_score
from weight_files import write_legacy, write_zip

from symjax import checkpoints
from symjax.checkpoints.load import abstract_variables
from symjax.checkpoints.names import name_leaves, torch_name
from symjax.checkpoints.safetensors import write_safetensors
from symjax.errors import UserError
from symjax.experiments.architecture import recognise
from symjax.experiments.weights import find_folding, measure_weights, profile_weights
from symjax.models import get_model

REAL = pathlib.Path(__file__).parents[2] / 'shared' / 'data' / 'weights'


def torch_arrays(name, shape=(32, 32, 3), **options):
  """Random weights of a network as PyTorch names them and orders their axes."""
  rng = np.random.default_rng(0)
  leaves = name_leaves(abstract_variables(get_model(name, 7, **options), shape))
  axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
  return {
    torch_name(path): rng.standard_normal([leaf.shape[i] for i in axes[leaf.ndim]])
    .astype(np.float32)
    for path, leaf in leaves.items()
  }  # fmt: skip


@pytest.fixture(scope='module')
def resnet():
  # At the width of the real weights, so that one program measures both.
  return torch_arrays('cifar_resnet', depth=20)


@pytest.mark.parametrize(
  'title, name, options',
  [
    ('CIFAR ResNet-32', 'cifar_resnet', dict(depth=32, width=0.5)),
    ('VGG-11', 'vgg', dict(depth=11, width=1 / 16)),
    ('VGG-13 with BatchNorm', 'vgg', dict(depth=13, batch_norm=True, width=1 / 16)),
    (
      'ResNet-18 with a stem for small images',
      'resnet',
      dict(depth=18, stem='cifar', width=1 / 8),
    ),
    (
      'fully convolutional network on a ResNet-18',
      'fcn',
      dict(depth=18, width=1 / 16),
    ),
  ],
)
def test_published_networks_are_recognised_at_any_width(title, name, options):
  arrays = torch_arrays(name, **options)
  found = recognise(arrays, 'OIHW')
  assert found.title == title
  assert found.normalized == any('running_mean' in name for name in arrays)
  assert set(found.names) == {k for k, a in arrays.items() if a.ndim == 4}


def test_other_networks_are_not(resnet):
  wrong = resnet | {'layer2.0.conv1.weight': np.zeros((9, 4, 3, 3), np.float32)}
  assert recognise(wrong, 'OIHW') is None
  named = {name.replace('layer1', 'stage1'): a for name, a in resnet.items()}
  assert recognise(named, 'OIHW') is None
  assert recognise({}, 'OIHW') is None
  assert recognise(resnet, 'HWIO') is None


def test_a_recognised_network_gives_strides_marks_and_its_own_order(resnet, tmp_path):
  path = tmp_path / 'net.safetensors'
  write_safetensors(path, dict(sorted(resnet.items(), reverse=True)))
  found = measure_weights(path)
  layers = found.profile['layers']
  assert [layer['name'] for layer in layers][:3] == [
    'conv1',
    'layer1.0.conv1',
    'layer1.0.conv2',
  ]
  strided = [layer['name'] for layer in layers if layer['stride'] == 2]
  assert strided == ['layer2.0.conv1', 'layer3.0.conv1']
  assert set(found.marks) == set(strided)
  assert found.folded == 'no'
  assert found.summary() == (
    'net.safetensors: 97 arrays, 19 convolutions larger than 1x1 and 0 of 1x1; '
    'PyTorch, OIHW by the names; the network is a CIFAR ResNet-20'
  )


def folded(arrays):
  """The arrays as if their BatchNorms had been folded into the convolutions."""
  kernels = {k: a for k, a in arrays.items() if a.ndim == 4}
  biases = {k.replace('weight', 'bias'): a[:, 0, 0, 0] for k, a in kernels.items()}
  return kernels | biases


def test_folding_is_certain_where_the_network_is_known(resnet):
  plain = torch_arrays('vgg', depth=11, width=1 / 16)
  stranger = {f'net.{k}': a for k, a in folded(resnet).items()}
  for arrays, expected in (
    (resnet, 'no'),
    (folded(resnet), 'yes'),
    (plain, 'no'),
    (stranger, 'perhaps'),
  ):
    assert find_folding(arrays, recognise(arrays, 'OIHW')) == expected


def assert_scores(path, spatial, count):
  """Every score, skew and mean kernel by the formula in float64."""
  arrays = checkpoints.read(path)
  layers = measure_weights(path).profile['layers']
  assert len(layers) == count
  for layer in layers:
    (array,) = [
      a
      for name, a in arrays.items()
      if name in (layer['name'], f'{layer["name"]}.weight')
    ]
    other = tuple({0, 1, 2, 3} - set(spatial))
    mean = np.asarray(array, np.float64).mean(axis=other)
    assert layer['score'] == pytest.approx(plain_score(mean), abs=2e-5)
    np.testing.assert_allclose(layer['mean_kernel'], mean, atol=1e-6)
    mass = np.abs(mean) / np.abs(mean).sum()
    rows, columns = np.indices(mean.shape) - (np.array(mean.shape) - 1)[
      :, None, None
    ] / 2  # fmt: skip
    expected = [(mass * rows).sum(), (mass * columns).sum()]
    np.testing.assert_allclose(layer['skew'], expected, atol=2e-5)


@pytest.mark.skipif(not REAL.exists(), reason='the real weights are not at hand')
@pytest.mark.parametrize(
  'name, spatial, count',
  [
    ('resnet20-12fca82f.th', (2, 3), 19),
    ('squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5', (0, 1), 9),
  ],
)
def test_scores_of_real_weights_are_those_of_the_formula(name, spatial, count):
  assert_scores(REAL / name, spatial, count)


def test_all_kinds_of_kernels_are_measured(tmp_path):
  rng = np.random.default_rng(0)
  shapes = dict(plain=(8, 4, 3, 3), turned=(4, 8, 3, 3), deep=(8, 1, 3, 3))
  shapes |= dict(line=(4, 4, 1, 7), point=(9, 9, 1, 1))
  path = tmp_path / 'net.th'
  arrays = {f'{k}.weight': rng.standard_normal(s) for k, s in shapes.items()}
  biases = {f'{k}.bias': np.ones(s[0]) for k, s in shapes.items()}
  write_legacy(path, arrays | biases | {'conv1d.weight': np.ones((2, 2, 3))})
  assert_scores(path, (2, 3), 4)
  found = measure_weights(path)
  assert found.pointwise == 1 and found.shapes['line'] == (4, 4, 1, 7)
  assert {layer['stride'] for layer in found.profile['layers']} == {None}
  assert 'left out conv1d.weight [2, 2, 3]' in found.summary()
  assert 'BatchNorm may be folded' in found.summary()
  assert 'BatchNorm may be folded' in found.source


def test_one_file_gives_a_profile_and_figures(resnet, tmp_path, capsys):
  path = tmp_path / 'net.pth'
  write_zip(path, resnet)
  profile_weights([path], tmp_path / 'out')
  found = json.loads((tmp_path / 'out' / 'profile.json').read_text())
  assert len(found['layers']) == 19 and 0.2 < found['mean_score'] < 0.6
  for name in ('mean_kernels', 'symmetry_profile'):
    figure = tmp_path / 'out' / 'figures' / f'{name}.png'
    assert figure.read_bytes().startswith(b'\x89PNG')
  assert 'net.pth: 97 arrays' in capsys.readouterr().out


def test_several_files_get_a_folder_each_and_figures_together(resnet, tmp_path, capsys):
  rng = np.random.default_rng(1)
  other = {k: rng.permuted(a).astype(np.float32) for k, a in resnet.items()}
  stranger = {'net.0.weight': resnet['conv1.weight']}
  paths = [tmp_path / name for name in ('net.pth', 'net.npz', 'stranger.npz')]
  write_zip(paths[0], resnet)
  np.savez(paths[1], **other)
  np.savez(paths[2], **stranger)
  out = tmp_path / 'out'
  profile_weights(paths, out)
  for name in ('symmetry_profile', 'kernel_skews'):
    assert (out / 'figures' / f'{name}.png').exists()
  assert (out / 'stranger' / 'profile.json').exists()
  found = json.loads((out / 'strided.json').read_text())
  assert list(found['networks']) == ['net', 'net-2']
  assert found['networks']['net']['score']['counts'] == [2, 17]
  assert found['tests']['score']['networks'] == 2
  assert (
    'layers minus the others, over 2 networks (net, net-2)' in capsys.readouterr().out
  )
  # The same network in two formats is one, and what stands there is of other networks.
  write_safetensors(tmp_path / 'again.safetensors', resnet)
  profile_weights([paths[0], tmp_path / 'again.safetensors'], out)
  one, copy = ((out / name / 'profile.json').read_text() for name in ('net', 'again'))
  assert one == copy
  assert not (out / 'strided.json').exists()
  assert not (out / 'figures' / 'kernel_skews.png').exists()


@pytest.mark.parametrize(
  'arrays, message',
  [
    ({'fc.weight': np.ones((3, 4))}, 'none of its 1 arrays is a convolution$'),
    (
      {'a.weight': np.full((2, 2, 3, 3), np.nan)},
      'layer a has NaN or infinite weights',
    ),
    ({'a': np.ones((3, 3, 3, 3))}, 'give --layout=OIHW'),
  ],
)
def test_what_has_no_profile_is_refused_and_nothing_is_written(
  arrays, message, tmp_path
):
  good, bad = tmp_path / 'good.npz', tmp_path / 'bad.npz'
  np.savez(good, **{'a.weight': np.ones((2, 2, 3, 3), np.float32)})
  np.savez(bad, **arrays)
  with pytest.raises(UserError, match=f'bad.npz: .*{message}'):
    profile_weights([good, bad], tmp_path / 'out')
  assert not (tmp_path / 'out').exists()
