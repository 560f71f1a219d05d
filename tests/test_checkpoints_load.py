"""Weights from elsewhere in our models, and back: names, axes, what does not fit."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow_datasets as tfds
from weight_files import write_legacy, write_zip

from symjax import checkpoints
from symjax.checkpoints.load import abstract_variables
from symjax.checkpoints.names import name_leaves, nest_leaves
from symjax.checkpoints.safetensors import write_safetensors
from symjax.errors import UserError
from symjax.models import get_model
from symjax.nn import ConvPolicy

SHARED = pathlib.Path(__file__).parents[2] / 'shared' / 'data'
SHAPE = (32, 32, 3)
MODELS = {
  'vgg': dict(depth=11, width=1 / 64, batch_norm=True),
  'alexnet': dict(width=1 / 64),
  'resnet': dict(depth=18, width=1 / 16),
  'cifar_resnet': dict(depth=20, width=1 / 4),
  'fcn': dict(depth=18, width=1 / 16),
}


def network(name, num_classes=5, **options):
  return get_model(name, num_classes, **MODELS.get(name, {}) | options)


def random_variables(model, shape=SHAPE):
  """Random values in every array, without computing the model's own start."""
  rng = np.random.default_rng(0)
  leaves = name_leaves(abstract_variables(model, shape))
  return nest_leaves(
    {
      n: rng.standard_normal(leaf.shape).astype(leaf.dtype)
      for n, leaf in leaves.items()
    }
  )


def assert_same(one, other):
  assert jax.tree.structure(one) == jax.tree.structure(other)
  for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize('name', MODELS)
def test_there_and_back_is_exact(name, tmp_path):
  shape = (64, 64, 3)
  model = network(name)
  variables = random_variables(model, shape)
  path = tmp_path / 'net.safetensors'
  checkpoints.export(model, variables, path, shape)
  assert_same(checkpoints.load_into(model, path, shape), variables)
  # By another format, with counters and a wrapper's prefix, under another policy.
  arrays = checkpoints.read(path)
  counted = {'bn1.num_batches_tracked': np.array(9), **arrays}
  write_zip(tmp_path / 'net.pth', {f'module.{k}': v for k, v in counted.items()})
  model = network(name, policy=ConvPolicy('reflect'))
  assert_same(checkpoints.load_into(model, tmp_path / 'net.pth', shape), variables)


def test_names_are_torchvisions(tmp_path):
  model = network('resnet')
  path = tmp_path / 'net.safetensors'
  checkpoints.export(model, random_variables(model), path, SHAPE)
  found = checkpoints.read(path)
  # 122 arrays in torchvision's state_dict, of which 20 count batches.
  assert len(found) == 102
  assert found['conv1.weight'].shape == (4, 3, 7, 7)
  assert found['layer2.0.downsample.0.weight'].shape == (8, 4, 1, 1)
  assert found['layer4.1.bn2.running_var'].shape == (32,)
  assert found['fc.weight'].shape == (5, 32)
  assert 'layer3.0.downsample.1.running_mean' in found


def test_names_of_a_segmenter_are_torchvisions(tmp_path):
  model = network('fcn')
  path = tmp_path / 'net.safetensors'
  checkpoints.export(model, random_variables(model), path, SHAPE)
  found = checkpoints.read(path)
  names = {name for name in found if not name.startswith('backbone.')}
  norm = ('weight', 'bias', 'running_mean', 'running_var')
  rest = ('0.weight', *(f'1.{end}' for end in norm), '4.weight', '4.bias')
  heads = ('classifier', 'aux_classifier')
  assert names == {f'{head}.{end}' for head in heads for end in rest}
  assert found['classifier.4.weight'].shape == (5, 8, 1, 1)
  assert found['backbone.layer2.0.downsample.0.weight'].shape == (8, 4, 1, 1)


def test_axes_are_torchs(tmp_path):
  """A dense layer behind a flattened 7x7 map of c channels reads channels first."""
  model = network('vgg')
  variables = random_variables(model)
  path = tmp_path / 'net.safetensors'
  checkpoints.export(model, variables, path, SHAPE)
  found, params = checkpoints.read(path), variables['params']
  dense, channels = params['classifier_0']['kernel'], 8
  by_torch = found['classifier.0.weight']
  for c, i, j in ((0, 0, 0), (3, 2, 5), (7, 6, 6), (1, 0, 3)):
    np.testing.assert_array_equal(
      by_torch[:, c * 49 + i * 7 + j], dense[(i * 7 + j) * channels + c]
    )
  np.testing.assert_array_equal(
    found['classifier.3.weight'], params['classifier_3']['kernel'].T
  )
  conv = params['features_4']['kernel']
  np.testing.assert_array_equal(found['features.4.weight'], conv.transpose(3, 2, 0, 1))
  np.testing.assert_array_equal(
    found['features.1.running_var'], variables['batch_stats']['features_1']['var']
  )


@pytest.mark.parametrize('prefix', ['', 'params/'])
def test_names_of_flax_are_taken_as_they_are(prefix, tmp_path):
  model = network('cifar_resnet')
  variables = random_variables(model)
  leaves = name_leaves(variables)
  path = tmp_path / 'net.npz'
  np.savez(
    path, **{n if prefix else n.partition('/')[2]: leaf for n, leaf in leaves.items()}
  )
  assert_same(checkpoints.load_into(model, path, SHAPE), variables)


def test_types_are_those_of_the_model(tmp_path):
  model = network('cifar_resnet')
  variables = random_variables(model)
  half = jax.tree.map(lambda leaf: leaf.astype(np.float16), variables)
  path = tmp_path / 'half.safetensors'
  checkpoints.export(model, half, path, SHAPE)
  assert checkpoints.read(path)['conv1.weight'].dtype == np.float16
  single = jax.tree.map(lambda leaf: leaf.astype(np.float32), half)
  assert_same(checkpoints.load_into(model, path, SHAPE), single)


def exported(tmp_path, change):
  """A file of a CIFAR ResNet's weights after `change`, and the network."""
  model = network('cifar_resnet')
  path = tmp_path / 'net.safetensors'
  checkpoints.export(model, random_variables(model), path, SHAPE)
  write_safetensors(path, change(checkpoints.read(path)))
  return model, path


def rename(arrays):
  return {name.replace('layer3.2', 'stage3.2'): a for name, a in arrays.items()}


def twin(arrays):
  return arrays | {'layer1_0.bn1.bias': np.zeros(4, np.float32)}


MISFITS = {
  'lacks layer': (
    lambda a: {k: v for k, v in a.items() if 'linear' not in k},
    r'the file lacks 2 of 97 arrays \(linear.bias, linear.weight\)$',
  ),
  'has layer': (
    lambda a: a | {'fc.weight': np.zeros((2, 2), np.float32)},
    r'the network lacks 1 arrays of the file \(fc.weight\)$',
  ),
  'both': (
    rename,
    r'the file lacks 10 of 97 arrays \(layer3.2.*, \.\.\.\); the network lacks 10 '
    r'arrays of the file \(stage3.2.*\); the nearest to layer3.2.bn1.bias is '
    r'stage3.2.bn1.bias',
  ),
  'shape': (
    lambda a: a | {'conv1.weight': np.zeros((4, 3, 5, 5), np.float32)},
    r'shapes differ: conv1.weight is \[5, 5, 3, 4\], not \[3, 3, 3, 4\]',
  ),
  'twins': (twin, 'two arrays of the same name, layer1.0.bn1.bias and layer1_0'),
}


@pytest.mark.parametrize('case', MISFITS)
def test_what_does_not_fit_is_listed(case, tmp_path):
  change, message = MISFITS[case]
  model, path = exported(tmp_path, change)
  with pytest.raises(UserError, match=message):
    checkpoints.load_into(model, path, SHAPE)


def test_only_safetensors_are_written(tmp_path):
  model = network('cifar_resnet')
  with pytest.raises(UserError, match='net.pth is written as .safetensors'):
    checkpoints.export(model, {}, tmp_path / 'net.pth', SHAPE)


def test_layers_that_pytorch_lacks_are_named(tmp_path):
  variables = {'params': {'lift': {'kernel': np.zeros((3, 3, 1, 4, 2), np.float32)}}}
  model = network('cifar_resnet')
  with pytest.raises(UserError, match=r'lift/kernel \[3, 3, 1, 4, 2\] has no counter'):
    checkpoints.export(model, variables, tmp_path / 'net.safetensors', SHAPE)


def test_a_refused_legacy_file_is_named_as_such(tmp_path):
  path = tmp_path / 'net.th'
  write_legacy(path, {'w': np.ones(2)})
  path.write_bytes(path.read_bytes()[:-1])
  with pytest.raises(UserError, match='as a legacy PyTorch file: it is truncated'):
    checkpoints.load_into(network('vgg'), path, SHAPE)


@pytest.mark.skipif(not SHARED.exists(), reason='the real weights are not at hand')
def test_real_weights_classify_real_images():
  """91.6% of 1,017 test images; published for all 10,000 is 91.73%."""
  builder = tfds.builder_from_directory(SHARED / 'tfds' / 'cifar10' / '3.0.2')
  rows = list(builder.as_data_source('test'))
  images = np.stack([row['image'] for row in rows])
  mean = np.array([0.485, 0.456, 0.406], np.float32)
  std = np.array([0.229, 0.224, 0.225], np.float32)
  x = (images / np.float32(255) - mean[None, None, None]) / std[None, None, None]
  model = get_model('cifar_resnet', 10, depth=20, policy=ConvPolicy(algorithm='xla'))
  path = SHARED / 'weights' / 'resnet20-12fca82f.th'
  variables = checkpoints.load_into(model, path, SHAPE)
  logits = jax.jit(lambda v, x: model.apply(v, x, train=False))
  found = jnp.argmax(logits(variables, x), axis=-1)
  accuracy = np.mean(np.asarray(found) == [row['label'] for row in rows])
  assert accuracy == pytest.approx(0.9164, abs=0.001)
