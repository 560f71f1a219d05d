"""FCN as torchvision has it: names, counts, heads."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from network_reference import (
  batch_norm,
  correlate,
  count_parameters,
  draw_variables,
  initializers,
  layer_names,
  relu,
)
from test_nn_resizing import interpolate

from symjax.errors import UserError
from symjax.models import FCN, get_model
from symjax.nn import ConvPolicy, resize_bilinear, trace
from symjax.nn.initializers import he_normal_fan_out

XLA = ConvPolicy(algorithm='xla')
TINY = dict(depth=18, width=1 / 32, policy=XLA)
HEAD = ('classifier', 'aux_classifier')


@pytest.mark.parametrize(
  'options, parameters',
  [
    ({}, 35_322_218),
    (dict(auxiliary=False), 32_957_013),
    (dict(depth=101), 54_314_346),
  ],
)
def test_parameter_counts_are_torchvisions(options, parameters):
  assert count_parameters(get_model('fcn', 21, **options), 32) == parameters


def test_layer_names_are_torchvisions():
  images = jnp.zeros((1, 32, 32, 3))
  names = layer_names(draw_variables(get_model('fcn', 5, **TINY), images))
  body = layer_names(draw_variables(get_model('resnet', 5, **TINY), images)) - {'fc'}
  heads = {f'{head}_{index}' for head in HEAD for index in (0, 1, 4)}
  assert names == heads | {f'backbone_{name}' for name in body}


def test_maps_of_the_heads_have_an_eighth_of_the_side():
  table = trace(get_model('fcn', 5, **TINY), (97, 64, 3))
  sizes = {layer.name: layer.output_shape for layer in table}
  assert sizes['backbone/layer2_1/conv2'] == (13, 8, 4)
  assert sizes['backbone/layer4_1/conv2'] == (13, 8, 16)
  assert sizes['classifier_0'] == (13, 8, 4)
  assert sizes['aux_classifier_0'] == (13, 8, 2)
  assert sizes['classifier_4'] == sizes['aux_classifier_4'] == (13, 8, 5)


def head(variables, name, x, size):
  """In float64: [batch, *size, classes] of a map of the body."""
  params, stats = variables['params'], variables['batch_stats'][f'{name}_1']
  x = correlate(x, params[f'{name}_0']['kernel'], margins=(1, 1))
  x = relu(batch_norm(x, params[f'{name}_1'], stats, 1e-5))
  x = correlate(x, params[f'{name}_4']['kernel']) + params[f'{name}_4']['bias']
  return interpolate(x, size)


def test_logits_equal_numpy():
  """Of the last map of the body, at the size of the images."""
  model = get_model('fcn', 5, auxiliary=False, **TINY)
  images = np.random.default_rng(0).normal(size=(2, 33, 50, 3)).astype(np.float32)
  variables = draw_variables(model, images)

  @jax.jit
  def run(variables, images):
    return model.apply(
      variables,
      images,
      mutable=['intermediates'],
      capture_intermediates=lambda _, method: method == 'feature_maps',
    )

  logits, captured = run(variables, images)
  (maps,) = captured['intermediates']['backbone']['feature_maps']
  expected = head(variables, 'classifier', maps['layer4'], (33, 50))
  np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())


class Second(FCN):
  """Its second head alone, outside of training."""

  @nn.compact
  def __call__(self, x):
    return resize_bilinear(self._head(x, 'aux_classifier', False), (33, 50))


def test_the_second_head_equals_numpy():
  x = np.random.default_rng(0).normal(size=(2, 5, 7, 8)).astype(np.float32)
  variables = draw_variables(Second(5, policy=XLA), x)
  logits = jax.jit(Second(5, policy=XLA).apply)(variables, x)
  expected = head(variables, 'aux_classifier', x, (33, 50))
  np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
  'train, auxiliary', [(True, True), (True, False), (False, True)]
)
def test_the_second_head_is_for_training_alone(key, train, auxiliary):
  model = get_model('fcn', 5, auxiliary=auxiliary, **TINY)
  images = jax.ShapeDtypeStruct((2, 33, 50, 3), jnp.float32)
  variables = jax.eval_shape(model.init, key, images)
  run = functools.partial(
    model.apply, train=train, mutable=['batch_stats', 'intermediates']
  )
  logits, updated = jax.eval_shape(
    lambda variables, images, key: run(variables, images, rngs={'dropout': key}),
    variables,
    images,
    key,
  )
  heads = updated.get('intermediates', {}).get('auxiliary_logits', ())
  assert logits.shape == (2, 33, 50, 5)
  assert [head.shape for head in heads] == [(2, 33, 50, 5)] * (train and auxiliary)


def test_the_start_is_torchvisions(key):
  """Kaiming in the body; uniform by the fan of the inputs in the heads."""
  start = initializers(get_model('fcn', 5, **TINY), 32)
  for name, (kernel, bias, inputs) in start.items():
    if name.startswith('backbone/'):
      assert kernel is he_normal_fan_out
      continue
    drawn = [kernel(key, (4096,))] + [bias(key, (4096,))] * name.endswith('_4')
    for values in drawn:
      assert 0.99 < np.abs(values).max() * np.sqrt(inputs) <= 1 + 1e-6


@pytest.mark.parametrize(
  'options, message',
  [
    (dict(depth=20), 'no ResNet-20; choose depth from 18, 34, 50, 101, 152'),
    (dict(width=0.01), 'width 0.01 leaves the first layer without channels'),
    (dict(output_stride=3), 'no output_stride 3 .*; choose from 32, 16, 8, 4'),
    (dict(policy=ConvPolicy('valid')), "padding 'valid' shrinks the maps that a resid"),
    (
      dict(policy=ConvPolicy(downsampling='aps')),
      "downsampling 'aps' begins the maps .*; choose another downsampling",
    ),
    (dict(stem='cifar'), "fcn has no 'stem'; it takes auxiliary, depth, output_stride"),
  ],
)
def test_mistakes_are_named(options, message):
  with pytest.raises(UserError, match=message):
    get_model('fcn', 21, **options)


def test_images_too_small_for_a_border_are_refused():
  policy = ConvPolicy('reflect', algorithm='xla')
  model = get_model('fcn', 5, policy, depth=18, width=1 / 32)
  with pytest.raises(UserError, match='reflect padding of 4 is too wide for a 4x4 map'):
    trace(model, (32, 32, 3))
