"""SegNet as its Caffe definitions have it: names, counts, sizes, arithmetic."""

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

from symjax.errors import UserError
from symjax.models import get_model
from symjax.nn import ConvPolicy, trace
from symjax.nn.initializers import he_normal_fan_in

XLA = ConvPolicy(algorithm='xla')
TINY = dict(width=1 / 32, policy=XLA)

# Convolutions of the authors' definitions, and their outputs, in the order they run.
# What is behind an unpooling begins with '^', what is in front of a pooling ends with
# '/'.
BASIC = (
  'conv1/ 64, conv2/ 64, conv3/ 64, conv4/ 64, ^conv_decode4 64, ^conv_decode3 64, '
  '^conv_decode2 64, ^conv_decode1 64, conv_classifier 11'
)
VGG16 = (
  'conv1_1 64, conv1_2/ 64, conv2_1 128, conv2_2/ 128, '
  'conv3_1 256, conv3_2 256, conv3_3/ 256, conv4_1 512, conv4_2 512, conv4_3/ 512, '
  'conv5_1 512, conv5_2 512, conv5_3/ 512, '
  '^conv5_3_D 512, conv5_2_D 512, conv5_1_D 512, ^conv4_3_D 512, conv4_2_D 512, '
  'conv4_1_D 256, ^conv3_3_D 256, conv3_2_D 256, conv3_1_D 128, '
  '^conv2_2_D 128, conv2_1_D 64, ^conv1_2_D 64, conv1_1_D 11'
)
DEFINITIONS = {
  encoder: [tuple(row.split(' ')) for row in rows.split(', ')]
  for encoder, rows in {'basic': BASIC, 'vgg16': VGG16}.items()
}


@pytest.mark.parametrize(
  'encoder, first, others, last, total',
  [('basic', 7, 7, 1, 1_416_587), ('vgg16', 3, 3, 3, 29_449_355)],
)
def test_parameters_are_those_of_the_definition(encoder, first, others, last, total):
  """Kernels, their biases, and a scale and a shift for all but the logits."""
  features = [int(width) for _, width in DEFINITIONS[encoder]]
  taps = [first, *[others] * (len(features) - 2), last]
  expected = sum(
    taps[i] ** 2 * inputs * outputs + outputs
    for i, (inputs, outputs) in enumerate(zip([3, *features], features, strict=False))
  )
  expected += 2 * sum(features[:-1])
  found = count_parameters(get_model('segnet', 11, encoder=encoder), 32)
  assert found == expected == total


@pytest.mark.parametrize('encoder', DEFINITIONS)
def test_layers_have_the_names_of_the_definition(encoder):
  names = [name.strip('^/') for name, _ in DEFINITIONS[encoder]]
  model = get_model('segnet', 11, encoder=encoder, **TINY)
  variables = draw_variables(model, jnp.zeros((1, 16, 16, 3)))
  assert layer_names(variables) == {*names, *(f'{name}_bn' for name in names[:-1])}
  assert model.normalized_kernels == tuple(f'{name}/kernel' for name in names[:-1])


@pytest.mark.parametrize(
  'encoder, sizes',
  [
    ('basic', [(180, 240), (90, 120), (45, 60), (23, 30)]),
    ('vgg16', [(180, 240), (90, 120), (45, 60), (23, 30), (12, 15)]),
  ],
)
def test_maps_are_as_large_as_caffes(encoder, sizes):
  """Sizes are rounded up, and each map comes back at the size it was pooled from."""
  table = trace(get_model('segnet', 11, encoder=encoder, **TINY), (360, 480, 3))
  pools = [layer for layer in table if layer.kind == 'max_pool']
  assert [layer.output_shape[:2] for layer in pools] == sizes
  order = [layer.name for layer in table]
  for name, _ in DEFINITIONS[encoder]:
    if name.startswith('^'):
      after = table[order.index(name.strip('^'))]
      assert after.input_shape[:2] == pools.pop().input_shape[:2]
  assert table[-1].output_shape == (360, 480, 11)


def unpool(x, positions, size):
  """Values in a map of zeros, one by one."""
  whole = np.zeros((len(x), *size, x.shape[-1]))
  for n, i, j, c in np.ndindex(x.shape):
    row, column = divmod(positions[n, i, j, c], 2)
    whole[n, 2 * i + row, 2 * j + column, c] = x[n, i, j, c]
  return whole


def pool(x):
  """Maxima of 2x2 tiles, of which the last ones may be cut; where they are."""
  edges = [(0, side % 2) for side in x.shape[1:3]]
  x = np.pad(x, ((0, 0), *edges, (0, 0)), constant_values=-np.inf)
  tiles = np.stack([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])
  return tiles.max(axis=0), tiles.argmax(axis=0)


def reference(encoder, variables, x):
  """The definition in float64, layer by layer."""
  params, stats = variables['params'], variables['batch_stats']
  x, pooled = np.asarray(x, np.float64), []
  if encoder == 'basic':
    x = x / (1 + 1e-4 / 5 * (x**2).sum(axis=-1, keepdims=True)) ** 0.75
  decoding = False
  for row, _ in DEFINITIONS[encoder]:
    name = row.strip('^/')
    if row.startswith('^'):
      x, decoding = unpool(x, *pooled.pop()), True
    kernel = params[name]['kernel']
    margin = kernel.shape[0] // 2
    x = correlate(x, kernel, margins=(margin, margin)) + params[name]['bias']
    if f'{name}_bn' in params:
      x = batch_norm(x, params[f'{name}_bn'], stats[f'{name}_bn'], 1e-5)
      x = x if decoding and encoder == 'basic' else relu(x)
    if row.endswith('/'):
      size = x.shape[1:3]
      x, positions = pool(x)
      pooled.append((positions, size))
  return x


@pytest.mark.parametrize('encoder', DEFINITIONS)
def test_logits_equal_numpy(encoder):
  """At the size of the images, which has odd sides all the way down."""
  model = get_model('segnet', 5, encoder=encoder, **TINY)
  images = np.random.default_rng(0).uniform(0, 255, (2, 11, 13, 3)).astype(np.float32)
  variables = draw_variables(model, images)
  logits = jax.jit(model.apply)(variables, images)
  expected = reference(encoder, variables, images)
  assert logits.shape == expected.shape == (2, 11, 13, 5)
  np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())


def test_the_start_is_that_of_the_definition(key):
  model = get_model('segnet', 11, **TINY)
  start = initializers(model, 16)
  assert len(start) == 9
  assert {(kernel, bias) for kernel, bias, _ in start.values()} == {
    (he_normal_fan_in, nn.initializers.zeros)
  }
  norms = []

  def record(run, args, kwargs, context):
    if context.method_name == '__call__' and isinstance(context.module, nn.BatchNorm):
      norms.append(context.module)
    return run(*args, **kwargs)

  with nn.intercept_methods(record):
    count_parameters(model, 16)
  assert len(norms) == 8
  for norm in norms:
    np.testing.assert_allclose(norm.bias_init(key, (2,)), 0.001)
    np.testing.assert_allclose(norm.scale_init(key, (2,)), 1)


@pytest.mark.parametrize(
  'options, message',
  [
    (dict(encoder='vgg19'), "unknown encoder 'vgg19'; choose from basic, vgg16"),
    (dict(width=0.01), 'width 0.01 leaves the first layer without channels'),
    (
      dict(policy=ConvPolicy('valid')),
      "padding 'valid' shrinks the maps that a SegNet unpools; choose another padding",
    ),
    *(
      (
        dict(policy=ConvPolicy(downsampling=name)),
        f"downsampling '{name}' .* unpooling .*; choose downsampling 'stride'",
      )
      for name in ('blur', 'balanced', 'aps')
    ),
  ],
)
def test_mistakes_are_named(options, message):
  with pytest.raises(UserError, match=message):
    get_model('segnet', 11, **options)


def test_images_too_small_for_a_border_are_refused():
  policy = ConvPolicy('reflect', algorithm='xla')
  model = get_model('segnet', 11, policy, width=1 / 32)
  with pytest.raises(UserError, match='reflect padding of 3 is too wide for a 3x4 map'):
    trace(model, (24, 32, 3))
