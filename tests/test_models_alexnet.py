"""AlexNet as torchvision has it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_reference import (
  correlate,
  count_parameters,
  draw_variables,
  initializers,
  layer_names,
  pool,
  relu,
)

from symjax.errors import UserError
from symjax.models import get_model
from symjax.nn import ConvPolicy, smallest_image, trace

XLA = ConvPolicy(algorithm='xla')
TINY = dict(width=1 / 64, policy=XLA)


def reference(variables, x):
  """Logits in evaluation, at a size whose last map needs no adaptive pooling."""
  layers = variables['params']

  def conv(x, index, stride, margin):
    layer = layers[f'features_{index}']
    return relu(correlate(x, layer['kernel'], stride, (margin, margin)) + layer['bias'])

  def dense(x, index):
    layer = layers[f'classifier_{index}']
    return x @ np.asarray(layer['kernel'], np.float64) + layer['bias']

  x = pool(conv(x, 0, 4, 2), 3, 2, np.max)
  x = pool(conv(x, 3, 1, 2), 3, 2, np.max)
  x = conv(conv(conv(x, 6, 1, 1), 8, 1, 1), 10, 1, 1)
  x = pool(x, 3, 2, np.max)
  assert x.shape[1:3] == (6, 6)
  x = relu(dense(relu(dense(x.reshape(len(x), -1), 1)), 4))
  return dense(x, 6)


def test_the_network_equals_numpy_under_a_stride_and_under_a_blur_of_one_tap(key):
  """Such a blur leaves out what a strided layer does not compute."""
  images = jax.random.normal(key, (2, 224, 223, 3))
  policy = ConvPolicy(downsampling='blur', blur_size=1, algorithm='xla')
  models = [get_model('alexnet', 5, p, width=1 / 64) for p in (XLA, policy)]
  variables = draw_variables(models[0], images)
  expected = reference(variables, np.asarray(images, np.float64))

  @jax.jit
  def run(variables, images):
    return [model.apply(variables, images) for model in models]

  for logits in run(variables, images):
    np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())


def test_names_and_counts_are_torchvisions():
  assert count_parameters(get_model('alexnet', 1000), 224) == 61_100_840
  variables = draw_variables(
    get_model('alexnet', 10, **TINY), jnp.zeros((1, 63, 63, 3))
  )
  assert layer_names(variables) == {
    *(f'features_{index}' for index in (0, 3, 6, 8, 10)),
    *(f'classifier_{index}' for index in (1, 4, 6)),
  }


def test_sides_of_maps():
  table = trace(get_model('alexnet', 10, **TINY), (224, 224, 3))
  sides = [layer.output_shape[0] for layer in table]
  assert sides == [55, 27, 27, 13, 13, 13, 13, 6]


@pytest.mark.parametrize(
  'downsampling, own, rest', [('blur', 2, 2), ('aps', 1, 4), ('balanced', 4, 1)]
)
def test_the_first_convolution_shares_its_stride(downsampling, own, rest):
  """Zhang, arXiv:1904.11486, halves it; polyphase sampling needs all positions."""
  policy = ConvPolicy(downsampling=downsampling, algorithm='xla')
  table = trace(get_model('alexnet', 10, policy, width=1 / 64), (224, 224, 3))
  strides = {layer.name: layer.window.stride[0] for layer in table}
  assert (strides['features_0'], strides.get('sampling_0', 1)) == (own, rest)


def test_the_start_is_pytorchs(key):
  """Kernels and biases uniform within 1 / sqrt(inputs of an output)."""
  start = initializers(get_model('alexnet', 10, **TINY), 63)
  assert len(start) == 8
  for kernel, bias, inputs in start.values():
    for initializer in (kernel, bias):
      drawn = np.asarray(initializer(key, (4096,))) * np.sqrt(inputs)
      assert 0.99 < np.abs(drawn).max() <= 1 + 1e-6
      assert drawn.std() == pytest.approx(1 / np.sqrt(3), rel=0.05)


def test_images_that_are_too_small_are_refused():
  model = get_model('alexnet', 10, **TINY)
  with pytest.raises(UserError, match='features_12: its 3x3 window does not fit a 2x2'):
    trace(model, (62, 62, 3))
  assert smallest_image(model, 3, train=False) == 63


def test_a_width_without_channels_is_refused():
  with pytest.raises(UserError, match='width 0.01 leaves the first layer without'):
    get_model('alexnet', 10, width=0.01)
