"""ResNet for small images: published sizes, and the names of PyTorch's weights."""

import jax.numpy as jnp
import pytest
from network_reference import (
  count_parameters,
  draw_variables,
  initializers,
  layer_names,
)

from symjax.models import get_model
from symjax.nn import ConvPolicy, trace
from symjax.nn.initializers import he_normal_fan_in


@pytest.mark.parametrize(
  'depth, millions', {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7}.items()
)
def test_parameter_counts_are_published(depth, millions):
  """He et al., Table 6; option A adds none, so that a closed form holds as well."""
  count = count_parameters(get_model('cifar_resnet', 10, depth=depth), 32)
  blocks = (depth - 2) // 6
  layers = [(3, 16)]
  for before, features in ((16, 16), (16, 32), (32, 64)):
    layers += [(before, features)] + [(features, features)] * (2 * blocks - 1)
  assert count == sum(9 * i * o + 2 * o for i, o in layers) + 64 * 10 + 10
  assert count / 1e6 == pytest.approx(millions, rel=0.02)


def test_layers_are_named_as_in_pytorch():
  images = jnp.zeros((1, 8, 8, 3))
  variables = draw_variables(get_model('cifar_resnet', 10, width=1 / 8), images)
  inner = ('conv1', 'bn1', 'conv2', 'bn2')
  assert layer_names(variables) == {'conv1', 'bn1', 'linear'} | {
    f'layer{stage}_{block}_{part}'
    for stage in (1, 2, 3)
    for block in (0, 1, 2)
    for part in inner
  }


@pytest.mark.parametrize('size, sides', [(32, (32, 16, 8)), (33, (33, 17, 9))])
def test_sides_of_maps(size, sides):
  """Strided layers, the shortcuts' included, are uneven at 32 and even at 33."""
  model = get_model('cifar_resnet', 10, policy=ConvPolicy(algorithm='xla'))
  table = trace(model, (size, size, 3))
  found = {layer.name: layer for layer in table}
  assert tuple(found[f'layer{s}_2/conv2'].output_shape[0] for s in (1, 2, 3)) == sides
  strided = [layer for layer in table if layer.strided]
  assert [layer.name for layer in strided] == [
    f'layer{stage}_0/{layer}'
    for stage in (2, 3)
    for layer in ('conv1', 'shortcut_sampling')
  ]
  slack = {layer.window.slack(layer.input_shape[:2]) for layer in strided}
  assert slack == {(33 - size, 33 - size)}


def test_the_start_is_hes():
  """By the fan of the inputs, as the PyTorch weights were trained from."""
  start = initializers(get_model('cifar_resnet', 10), 8)
  assert len(start) == 20
  assert {kernel for kernel, *_ in start.values()} == {he_normal_fan_in}
