"""The same maps with more and less sharing: sizes, functions, and what they may do."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from symjax.errors import UserError
from symjax.models import get_model
from symjax.models.connected import CONNECTIONS, append_coordinates
from symjax.nn import MODES, Conv, ConvPolicy, LocalConv, equivariance_report, trace
from symjax.symmetry.transformations import circular_translation


def shapes_of(module, *shape):
  """Its parameters on images [1, *shape], without making any."""
  images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
  key = jax.eval_shape(lambda: jax.random.key(0))
  return jax.eval_shape(module.init, key, images)


def parameters(module, *shape):
  leaves = jax.tree.leaves(shapes_of(module, *shape))
  return sum(math.prod(leaf.shape) for leaf in leaves)


def drawn(*shape, dtype=np.float64):
  return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


def in_closed_form(connection, size, image_channels, features, head, num_classes=10):
  total, channels = 0, image_channels
  for outputs in features:
    smaller = tuple(math.ceil(side / 2) for side in size)
    kernel = 9 * channels * outputs + outputs
    total += {
      'convolutional': kernel,
      'local': math.prod(smaller) * kernel,
      'full': (math.prod(size) * channels + 1) * math.prod(smaller) * outputs,
    }[connection]
    size, channels = smaller, outputs
  seen = channels * (math.prod(size) if head == 'flatten' else 1)
  return total + seen * num_classes + num_classes


@pytest.mark.parametrize('head', ['average', 'flatten'])
@pytest.mark.parametrize('coordinates', [False, True])
@pytest.mark.parametrize('connection', CONNECTIONS)
def test_parameters_in_closed_form(connection, coordinates, head):
  options = dict(connection=connection, coordinates=coordinates, head=head)
  for size, features in (((28, 28), (8, 16)), ((9, 14), (3,)), ((40, 40), (2, 3, 4))):
    model = get_model('connected', 10, features=features, **options)
    expected = in_closed_form(connection, size, 1 + 2 * coordinates, features, head)
    assert parameters(model, *size, 1) == expected


def test_the_chapters_exercise():
  """14.11: a dense layer of 1,024 pixels without biases, 32 filters with them."""
  dense = parameters(nn.Dense(1024, use_bias=False), 1024)
  filters = parameters(Conv(32), 32, 32, 1)
  assert (dense, filters) == (1_048_576, 320)
  assert dense / filters == 3276.8  # "~3,278x" in the chapter.
  # Its two layers differ in their outputs, of 1,024 and of 32 times as many numbers.
  assert parameters(nn.Dense(32 * 1024, use_bias=False), 1024) == 32 * dense


def test_the_chapters_layer_of_256_channels():
  """14.2.2: its 3.3 billion are 256 x 256 x H x W; a dense layer has H W times that."""
  size, pixels = (224, 224, 256), 224 * 224
  convolution = parameters(Conv(256, use_bias=False), *size)
  assert convolution == 589_824
  chapter = 256 * 256 * pixels
  assert chapter == 3_288_334_336
  assert chapter / convolution == pytest.approx(5575, abs=1)  # Its "5600x".
  dense = parameters(nn.Dense(256 * pixels, use_bias=False), 256 * pixels)
  assert dense == chapter * pixels == 164_995_463_643_136
  local = parameters(LocalConv(256), *size) - 256 * pixels
  assert local == convolution * pixels == 9 * chapter


def start(shape, dtype=np.float64, **options):
  """A network, its variables with biases that are not 0, and images."""
  model = get_model('connected', 5, dtype=str(np.dtype(dtype)), **options)
  variables = jax.tree.map(
    lambda leaf: drawn(*leaf.shape, dtype=dtype), shapes_of(model, *shape)
  )
  return model, variables, drawn(2, *shape, dtype=dtype)


def spread_out(variables, places):
  """The variables of a local network with the same kernel at all positions."""
  params = dict(variables['params'])
  for name, size in places.items():
    params[name] = {
      key: np.broadcast_to(leaf, (*size, *leaf.shape))
      for key, leaf in params[name].items()
    }
  return {'params': params}


def as_matrices(variables, table):
  """The variables of a fully connected network that computes the same."""
  params = dict(variables['params'])
  for layer in table:
    conv = Conv(
      layer.output_shape[2], strides=layer.window.stride, use_bias=False, parent=None
    )
    pixels = math.prod(layer.input_shape)
    basis = np.eye(pixels).reshape(pixels, *layer.input_shape)  # A pixel each.
    kernel = {'params': {'kernel': params[layer.name]['kernel']}}
    places = math.prod(layer.output_shape[:2])
    params[layer.name] = {
      'kernel': jax.jit(conv.apply)(kernel, basis).reshape(pixels, -1),
      'bias': np.tile(params[layer.name]['bias'], places),
    }
  return {'params': params}


def largest_difference(one, other):
  return np.abs(one - other).max() / np.abs(other).max()


def test_less_sharing_can_compute_the_same(float64):
  shape = (7, 10, 1)
  model, variables, x = start(shape, features=(3, 2), head='flatten', coordinates=True)
  table = trace(model, shape)
  expected = jax.jit(model.apply)(variables, x)
  places = {layer.name: layer.output_shape[:2] for layer in table}
  for connection, embedded in (
    ('local', spread_out(variables, places)),
    ('full', as_matrices(variables, table)),
  ):
    actual = jax.jit(model.clone(connection=connection).apply)(embedded, x)
    assert largest_difference(actual, expected) < 1e-14


@pytest.mark.parametrize('padding', MODES)
def test_local_layers_honour_every_border(float64, padding):
  """One layer, whose kernel is the same everywhere, at a stride of 2 and of 1."""
  x, weights = drawn(2, 6, 5, 2), {'kernel': drawn(3, 3, 2, 4), 'bias': drawn(4)}
  policy = ConvPolicy(padding, 'same')
  options = dict(features=4, strides=(2, 1), policy=policy, param_dtype=jnp.float64)
  expected = jax.jit(Conv(**options).apply)({'params': weights}, x)
  places = {'params': expected.shape[1:3]}
  actual = jax.jit(LocalConv(**options).apply)(
    spread_out({'params': {'params': weights}}, places)['params'], x
  )
  assert largest_difference(actual, expected) < 1e-14


def test_local_layers_are_linens(float64):
  """With kernels that differ; linen has one axis for a patch, its channels major."""
  x, kernel, bias = drawn(2, 9, 8, 3), drawn(5, 8, 3, 3, 3, 4), drawn(5, 8, 4)
  ours = LocalConv(4, strides=(2, 1), param_dtype=jnp.float64)
  theirs = nn.ConvLocal(4, (3, 3), (2, 1), padding=1, param_dtype=jnp.float64)
  patches = np.moveaxis(kernel, 4, 2).reshape(5, 8, 27, 4)
  expected = jax.jit(theirs.apply)({'params': {'kernel': patches, 'bias': bias}}, x)
  actual = jax.jit(ours.apply)({'params': {'kernel': kernel, 'bias': bias}}, x)
  np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-13)


def test_every_position_starts_as_a_convolution_would(key):
  """Kernels of variance 2 / fan, whatever the number of positions."""
  variables = jax.jit(LocalConv(8).init)(key, np.zeros((1, 20, 20, 5), np.float32))
  kernel = np.asarray(variables['params']['kernel'])
  assert kernel.std() == pytest.approx(math.sqrt(2 / 45), rel=0.02)


@pytest.mark.parametrize(
  'padding, coordinates, layer',
  [
    ('circular', False, None),
    ('zero', False, 'connected_0'),
    ('circular', True, 'connected_0'),
  ],
)
def test_what_tells_places_apart(padding, coordinates, layer):
  """Circular translation by the total stride: the border does, and coordinates do."""
  options = dict(features=(2, 3), coordinates=coordinates, policy=ConvPolicy(padding))
  model, variables, x = start((8, 8, 1), np.float32, **options)
  move = circular_translation((0, 4), image_size=(8, 8))
  report = equivariance_report(model, variables, x, move)
  assert next((row.name for row in report if row.breaks), None) == layer


def test_coordinates_are_those_of_coordconv():
  x = np.full((2, 3, 5, 1), 7, np.float32)
  with_places = append_coordinates(x)
  assert with_places.shape == (2, 3, 5, 3)
  np.testing.assert_array_equal(with_places[..., :1], x)
  for row in range(3):
    for column in range(5):
      expected = [row - 1, column / 2 - 1]
      np.testing.assert_allclose(with_places[1, row, column, 1:], expected, atol=1e-7)


@pytest.mark.parametrize('connection', CONNECTIONS)
def test_bfloat16(key, connection):
  model = get_model('connected', 3, connection=connection, dtype='bfloat16')
  x = jnp.zeros((2, 8, 8, 1))
  logits, variables = jax.eval_shape(model.init_with_output, key, x)
  assert logits.dtype == jnp.bfloat16
  assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype('float32')}


@pytest.mark.parametrize(
  'options, message',
  [
    (dict(connection='locally'), 'unknown connection .* convolutional, local, full'),
    (dict(head='mean'), "unknown head 'mean'; choose from average, flatten"),
    (dict(features=()), r'features=\(\); give the channels of one layer or more'),
    (dict(features=(8, 0)), 'each 1 or more'),
    (
      dict(connection='full', policy=ConvPolicy('circular')),
      'has no border: leave padding and widths at their defaults',
    ),
  ],
)
def test_mistakes_are_named(options, message):
  with pytest.raises(UserError, match=message):
    get_model('connected', 10, **options)


def test_images_that_a_border_leaves_nothing_of_are_refused():
  for connection in ('convolutional', 'local'):
    model = get_model(
      'connected', 10, connection=connection, policy=ConvPolicy('valid')
    )
    with pytest.raises(UserError, match='does not fit a 2x2 map'):
      jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 6, 6, 1)))
