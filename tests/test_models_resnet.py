"""ResNet as torchvision has it: names, counts, maps; dilation; circular shifts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_reference import (
  count_parameters,
  draw_variables,
  initializers,
  layer_names,
)

from symjax.errors import UserError
from symjax.models import get_model
from symjax.nn import ConvPolicy, trace
from symjax.nn.initializers import he_normal_fan_out

# torchvision's, for 1,000 classes.
PARAMETERS = {
  18: 11_689_512,
  34: 21_797_672,
  50: 25_557_032,
  101: 44_549_160,
  152: 60_192_808,
}
XLA = ConvPolicy(algorithm='xla')
TINY = dict(width=1 / 64, policy=XLA)


@pytest.mark.parametrize('depth', PARAMETERS)
def test_parameter_counts_are_torchvisions(depth):
  assert (
    count_parameters(get_model('resnet', 1000, depth=depth), 64) == (PARAMETERS[depth])
  )


@pytest.mark.parametrize('depth, convolutions', [(18, 2), (50, 3)])
def test_layer_names_are_torchvisions(depth, convolutions):
  model = get_model('resnet', 10, depth=depth, **TINY)
  blocks = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}[depth]
  expected = {'conv1', 'bn1', 'fc'}
  for stage, count in enumerate(blocks, start=1):
    for block in range(count):
      parts = [f'{part}{i + 1}' for part in ('conv', 'bn') for i in range(convolutions)]
      if block == 0 and (stage > 1 or depth == 50):
        parts += ['downsample_0', 'downsample_1']
      expected |= {f'layer{stage}_{block}_{part}' for part in parts}
  variables = draw_variables(model, jnp.zeros((1, 32, 32, 3)))
  assert layer_names(variables) == expected


@pytest.mark.parametrize(
  'options, size, sides',
  [
    ({}, 224, [112, 56, 56, 28, 14, 7]),
    ({}, 225, [113, 57, 57, 29, 15, 8]),
    (dict(output_stride=8), 225, [113, 57, 57, 29, 29, 29]),
    (dict(output_stride=16), 224, [112, 56, 56, 28, 14, 14]),
    (dict(stem='cifar'), 32, [32, 32, 16, 8, 4]),
    (dict(stem='cifar', output_stride=2), 33, [33, 33, 17, 17, 17]),
  ],
)
def test_sides_of_maps(options, size, sides):
  table = trace(get_model('resnet', 10, depth=18, **options, **TINY), (size, size, 3))
  ends = ['conv1', 'maxpool', *(f'layer{stage}_1/conv2' for stage in range(1, 5))]
  found = {layer.name: layer.output_shape[0] for layer in table}
  assert [found[name] for name in ends if name in found] == sides


def test_every_stride_is_uneven_at_224_and_even_at_225():
  model = get_model('resnet', 10, depth=50, **TINY)
  for size, slack in ((224, (1, 1)), (225, (0, 0))):
    strided = [layer for layer in trace(model, (size, size, 3)) if layer.strided]
    assert len(strided) == 8
    assert {layer.window.slack(layer.input_shape[:2]) for layer in strided} == {slack}


@pytest.mark.parametrize('depth', [18, 50])
def test_dilation_computes_what_strides_left_out(key, depth):
  """At the pixels that a strided network has, a dilated one has the same values."""
  options = dict(depth=depth, stem='cifar', **TINY)
  strided = get_model('resnet', 3, **options)
  dilated = get_model('resnet', 3, output_stride=2, **options)
  images = jax.random.normal(key, (1, 18, 13, 3))
  variables = draw_variables(strided, images)

  @jax.jit
  def run(variables, images):
    return [
      model.apply(variables, images, method='feature_maps')
      for model in (strided, dilated)
    ]

  sparse, dense = run(variables, images)
  for name, step in {'layer1': 1, 'layer2': 1, 'layer3': 2, 'layer4': 4}.items():
    np.testing.assert_allclose(
      dense[name][:, ::step, ::step], sparse[name], rtol=1e-4, atol=1e-4
    )


def test_feature_maps_of_a_body_need_no_head(key):
  """What a network built on this one holds has all its layers but the logits'."""
  model = get_model('resnet', 3, depth=18, **TINY)
  images = jnp.zeros((1, 32, 32, 3))
  init = functools.partial(model.init, method='feature_maps')
  maps = jax.eval_shape(
    lambda k, x: model.apply(init(k, x), x, method='feature_maps'), key, images
  )
  assert {name: x.shape for name, x in maps.items()} == {
    'layer1': (1, 8, 8, 1),
    'layer2': (1, 4, 4, 2),
    'layer3': (1, 2, 2, 4),
    'layer4': (1, 1, 1, 8),
  }
  body, whole = (jax.eval_shape(f, key, images)['params'] for f in (init, model.init))
  assert whole.keys() - body.keys() == {'fc'}


def test_polyphase_sampling_makes_logits_invariant_under_circular_shifts(key):
  """In the whole network: stem, poolings, and both branches of every block."""
  policy = ConvPolicy('circular', downsampling='aps', algorithm='xla')
  model = get_model('resnet', 5, policy, depth=18, width=1 / 32)
  image = jax.random.normal(key, (32, 32, 3))
  shifts = [(0, 0), (0, 1), (1, 0), (3, 6), (31, 5)]
  images = jnp.stack([jnp.roll(image, shift, axis=(0, 1)) for shift in shifts])
  variables = draw_variables(model, images)
  logits = np.asarray(jax.jit(model.apply)(variables, images))
  scale = np.abs(logits).max()
  np.testing.assert_allclose(logits[1:], logits[:1].repeat(4, 0), atol=1e-5 * scale)
  assert scale > 1e-2  # The image has something to say.


def test_blurs_are_where_anti_aliased_networks_have_them():
  """Zhang, arXiv:1904.11486: behind a nonlinearity, in front of a shortcut."""
  policy = ConvPolicy(downsampling='blur', algorithm='xla')
  tiny = dict(width=1 / 64, policy=policy)
  table = trace(get_model('resnet', 10, depth=18, **tiny), (224, 224, 3))
  names = [layer.name for layer in table]
  assert [layer.name for layer in table if layer.strided] == [
    'conv1',
    'maxpool/downsample',
    *(
      f'layer{stage}_0/{branch}sampling'
      for stage in (2, 3, 4)
      for branch in ('', 'shortcut_')
    ),
  ]
  first = names.index('layer2_0/conv1')
  assert [name.split('/')[1] for name in names[first : first + 5]] == [
    'conv1', 'sampling', 'conv2', 'shortcut_sampling', 'downsample_0',
  ]  # fmt: skip
  names = [layer.name for layer in trace(
    get_model('resnet', 10, depth=50, **tiny), (224, 224, 3)
  )]  # fmt: skip
  between = names.index('layer3_0/sampling')
  assert names[between - 1 : between + 2] == [
    'layer3_0/conv2', 'layer3_0/sampling', 'layer3_0/conv3',
  ]  # fmt: skip


def test_the_start_is_torchvisions(key):
  """Kaiming, fan of the outputs; uniform by the fan of the inputs for the logits."""
  start = initializers(get_model('resnet', 10, depth=18, **TINY), 32)
  kernel, bias, inputs = start.pop('fc')
  assert {initializer for initializer, *_ in start.values()} == {he_normal_fan_out}
  for initializer in (kernel, bias):
    drawn = np.abs(initializer(key, (4096,)))
    assert 0.99 < drawn.max() * np.sqrt(inputs) <= 1 + 1e-6


@pytest.mark.parametrize(
  'name, options, message',
  [
    ('resnet', dict(depth=20), 'no ResNet-20; choose depth from 18, 34, 50, 101, 152'),
    ('resnet', dict(stem='small'), "unknown stem 'small'; choose from imagenet, cifar"),
    (
      'resnet',
      dict(output_stride=2),
      "no output_stride 2 behind the stem 'imagenet'; choose from 32, 16, 8, 4",
    ),
    ('resnet', dict(width=0.01), 'width 0.01 leaves the first layer without channels'),
    (
      'resnet',
      dict(policy=ConvPolicy('valid')),
      "padding 'valid' shrinks the maps that a residual network adds up; choose",
    ),
    ('cifar_resnet', dict(depth=18), 'no CIFAR ResNet-18; choose depth from 20, 32'),
    ('cifar_resnet', dict(width=0.05), 'the narrowest is 0.0625'),
    ('cifar_resnet', dict(policy=ConvPolicy('valid')), "padding 'valid' shrinks"),
  ],
)
def test_mistakes_are_named(name, options, message):
  with pytest.raises(UserError, match=message):
    get_model(name, 10, **options)


def test_maps_too_small_for_a_border_are_refused():
  policy = ConvPolicy('reflect', algorithm='xla')
  with pytest.raises(UserError, match='reflect padding of 3 is too wide for a 3x3 map'):
    trace(get_model('resnet', 10, depth=18, width=1 / 64, policy=policy), (3, 3, 3))
