"""Trainings that start from some of the weights of a file: heads, and bodies."""

import jax
import numpy as np
import pytest

from symjax import checkpoints
from symjax.checkpoints.load import abstract_variables
from symjax.checkpoints.names import name_leaves, nest_leaves
from symjax.checkpoints.safetensors import write_safetensors
from symjax.errors import UserError
from symjax.models import get_model
from symjax.nn import ConvPolicy

SHAPE = (32, 32, 3)
NARROW = dict(depth=18, width=1 / 16)
HEADS = tuple(
  f'{head}_{i}' for head in ('aux_classifier', 'classifier') for i in (0, 1, 4)
)


def draw(model, seed=0):
  """Random values in every array, without computing the model's own start."""
  rng = np.random.default_rng(seed)
  leaves = name_leaves(abstract_variables(model, SHAPE))
  return nest_leaves(
    {n: rng.random(leaf.shape, np.float32) for n, leaf in leaves.items()}
  )


def write(folder, model, flax=False):
  """A file of a model's random weights, as PyTorch or as we name them, and these."""
  variables = draw(model)
  if flax:
    np.savez(folder / 'net.npz', **name_leaves(variables))
    return folder / 'net.npz', variables
  path = folder / 'net.safetensors'
  checkpoints.export(model, variables, path, SHAPE)
  return path, variables


def assert_same(one, other):
  jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize(
  'name, options, heads',
  [
    ('cifar_resnet', dict(width=1 / 4), ('linear',)),
    ('fcn', NARROW, ('aux_classifier_4', 'classifier_4')),
  ],
)
def test_a_head_of_another_size_keeps_its_start(name, options, heads, tmp_path):
  path, weights = write(tmp_path, get_model(name, 5, **options))
  wider = get_model(name, 7, **options)
  with pytest.raises(UserError, match=r'shapes differ: .* is \[.*5\], not \[.*7\]'):
    checkpoints.load_into(wider, path, SHAPE)
  own = draw(wider, seed=1)
  start = checkpoints.start_from(wider, path, SHAPE, lambda: own)
  assert (start.resized, start.fresh, start.unused) == (heads, (), ())
  for head in heads:
    assert_same(start.variables['params'].pop(head), own['params'][head])
    weights['params'].pop(head)
  assert_same(start.variables, weights)


def test_a_layer_of_another_width_is_no_head(tmp_path):
  path, _ = write(tmp_path, get_model('cifar_resnet', 5, width=1 / 4))
  wider = get_model('cifar_resnet', 5, width=1 / 2)
  with pytest.raises(UserError, match='does not fit the network: shapes differ'):
    checkpoints.start_from(wider, path, SHAPE, lambda: draw(wider))


@pytest.mark.parametrize('flax', [False, True])
def test_a_classifier_starts_the_body_of_a_segmenter(flax, tmp_path):
  """Whatever both of them pad with; the two heads and the classifier are named."""
  classifier = get_model('resnet', 10, ConvPolicy('partial'), **NARROW)
  path, weights = write(tmp_path, classifier, flax=flax)
  model = get_model('fcn', 5, **NARROW)
  own = draw(model, seed=1)
  start = checkpoints.start_from(model, path, SHAPE, lambda: own)
  assert (start.resized, start.fresh, start.unused) == ((), HEADS, ('fc',))
  weights['params'].pop('fc')
  for collection, arrays in start.variables.items():
    assert_same(arrays.pop('backbone'), weights[collection])
    own[collection].pop('backbone')
  assert_same(start.variables, own)


MISFITS = {
  'lacks a layer': (
    lambda a: {k: v for k, v in a.items() if 'layer2.0.conv1' not in k},
    r'the network.s backbone: the file lacks 1 of 100 arrays \(layer2.0.conv1.weight',
  ),
  'has a layer': (
    lambda a: a | {'conv2.weight': np.zeros((4, 4, 3, 3), np.float32)},
    r"backbone: the network's backbone lacks 1 arrays of the file \(conv2.weight\)$",
  ),
  'is of another width': (
    lambda a: a | {'conv1.weight': np.zeros((4, 3, 5, 5), np.float32)},
    r'backbone: shapes differ: conv1.weight is \[5, 5, 3, 4\], not \[7, 7, 3, 4\]',
  ),
}


def test_anything_else_that_does_not_fit_is_refused(tmp_path):
  path, _ = write(tmp_path, get_model('resnet', 10, **NARROW))
  arrays, model = checkpoints.read(path), get_model('fcn', 5, **NARROW)
  for change, message in MISFITS.values():
    write_safetensors(path, change(arrays))
    with pytest.raises(UserError, match=message):
      checkpoints.start_from(model, path, SHAPE, lambda: draw(model))


def test_a_segmenter_does_not_start_a_classifier(tmp_path):
  path, _ = write(tmp_path, get_model('fcn', 5, **NARROW))
  model = get_model('resnet', 5, **NARROW)
  with pytest.raises(UserError, match='fit the network: the file lacks 102 of 102 arr'):
    checkpoints.start_from(model, path, SHAPE, lambda: draw(model))
