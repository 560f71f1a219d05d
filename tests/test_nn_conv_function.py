"""`conv2d`: derivatives, transformations, and what it refuses."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from symjax.errors import UserError
from symjax.models import get_model
from symjax.nn import Conv, ConvPolicy, conv1d, conv2d
from symjax.nn.conv import CHOICES

PAD = ((1, 1), (1, 1))
OURS = [name for name in CHOICES if name != 'xla']


def arrays(key, batch=4, side=8, channels=4, features=6, taps=3):
  one, other = jax.random.split(key)
  return (
    jax.random.normal(one, (batch, side, side, channels)),
    jax.random.normal(other, (taps, taps, channels, features)),
  )


def close(found, expected, tolerance=1e-5):
  for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(one, other, atol=tolerance * np.abs(other).max())


@pytest.mark.parametrize('algorithm', OURS)
def test_gradients_of_gradients_are_those_of_xla(key, algorithm):
  """Reverse mode twice, in the map and in the kernel."""
  x, kernel = arrays(key, batch=2, side=2)

  def twice(algorithm):
    def energy(x, kernel):
      return jnp.square(conv2d(x, kernel, padding=PAD, algorithm=algorithm)).sum()

    def steepness(x, kernel):
      return sum(jnp.sin(g).sum() for g in jax.grad(energy, (0, 1))(x, kernel))

    return jax.jit(jax.grad(steepness, (0, 1)))(x, kernel)

  close(twice(algorithm), twice('xla'), 1e-4)


@pytest.mark.parametrize('algorithm', OURS)
def test_vmap_over_kernels_and_maps(key, algorithm):
  x, kernel = arrays(key, side=2)
  convolve = functools.partial(conv2d, padding=PAD, algorithm=algorithm)
  kernels = jnp.stack([kernel, 2 * kernel])
  found = jax.jit(jax.vmap(convolve, (None, 0)))(x, kernels)
  close(found, jnp.stack([convolve(x, kernel), 2 * convolve(x, kernel)]))
  many = jax.jit(jax.vmap(lambda x: convolve(x[None], kernel)[0]))(x)
  close(many, convolve(x, kernel))


@pytest.mark.parametrize('algorithm', ['im2col', 'winograd'])
def test_devices_that_share_a_batch_keep_to_their_images(key, algorithm, monkeypatch):
  for name in ('im2col', 'winograd'):
    # Several chunks, of as many images as devices or more.
    monkeypatch.setattr(f'symjax.nn.conv.{name}._CHUNK_BYTES', 40_000)
  x, kernel = arrays(key, batch=16)
  mesh = Mesh(np.array(jax.devices()), ('batch',))
  split = NamedSharding(mesh, PartitionSpec('batch'))
  work = jax.jit(functools.partial(conv2d, padding=PAD, algorithm=algorithm))
  shared = (
    jax.device_put(x, split),
    jax.device_put(kernel, NamedSharding(mesh, PartitionSpec())),
  )
  y = work(*shared)
  assert y.sharding.is_equivalent_to(split, 4)
  close(y, conv2d(x, kernel, padding=PAD, algorithm='xla'))
  assert 'all-gather' not in work.lower(*shared).compile().as_text()


@pytest.mark.parametrize('algorithm', ['auto', 'xla', 'im2col', 'fft'])
def test_signals_are_maps_of_one_row(key, algorithm):
  x = jax.random.normal(key, (2, 12, 4))
  kernel = jax.random.normal(key, (3, 2, 6))
  y = conv1d(x, kernel, 2, (2, 1), 2, 2, algorithm)
  expected = jax.lax.conv_general_dilated(
    x, kernel, (2,), [(2, 1)], rhs_dilation=(2,), feature_group_count=2,
    dimension_numbers=('NWC', 'WIO', 'NWC'),
  )  # fmt: skip
  close(y, expected)


@pytest.mark.parametrize(
  'side, stride, taps, padding',
  [(1, 1, 3, (1, 1)), (2, 2, 3, (1, 1)), (1, 1, 5, (2, 2)), (3, 1, 7, (0, 6))],
)
def test_taps_that_see_no_pixel_are_left_out(key, side, stride, taps, padding):
  """Of 3x3 on one pixel a single tap is left; its neighbours' gradient is zero."""
  x, kernel = arrays(key, side=side, taps=taps)

  def both(algorithm):
    def energy(x, kernel):
      y = conv2d(x, kernel, (stride, stride), (padding, padding), algorithm=algorithm)
      return jnp.square(y).sum(), y

    return jax.grad(energy, (0, 1), has_aux=True)(x, kernel)

  close(both('auto'), both('xla'))


def test_integers_are_convolved_by_all_that_can():
  x, kernel = jnp.arange(32).reshape(1, 4, 4, 2), jnp.ones((3, 3, 2, 1), jnp.int32)
  exact = conv2d(x, kernel, algorithm='xla')
  for algorithm in ('auto', 'im2col'):
    np.testing.assert_array_equal(conv2d(x, kernel, algorithm=algorithm), exact)
  for algorithm in ('fft', 'winograd'):
    with pytest.raises(UserError, match=f"'{algorithm}' convolves floating point"):
      conv2d(x, kernel, algorithm=algorithm)


@pytest.mark.parametrize(
  'shapes, options, message',
  [
    (((4, 8, 8, 3), (3, 3, 3, 2)), dict(algorithm='gemm'), "unknown algorithm 'gemm'"),
    (((8, 8, 3), (3, 3, 3, 2)), {}, r'map \[batch, height, width, channels\]'),
    (((4, 8, 8, 3), (3, 3, 2, 2)), {}, '3 channels in 1 groups'),
    (((4, 8, 8, 4), (3, 3, 2, 3)), dict(groups=2), '2 channels and 3 features'),
    (((4, 2, 8, 3), (3, 3, 3, 2)), {}, 'has no position'),
    (((4, 8, 8, 3), (5, 5, 3, 2)), dict(algorithm='winograd'), '3x3 taps at stride 1'),
  ],
)
def test_what_cannot_be_is_refused(shapes, options, message):
  with pytest.raises(UserError, match=message):
    conv2d(*map(jnp.ones, shapes), **options)


def test_types_that_differ_are_refused():
  with pytest.raises(UserError, match='float32 and the kernel bfloat16'):
    conv2d(jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1), jnp.bfloat16))


def test_a_layer_computes_the_same_by_every_algorithm(key):
  x = jax.random.normal(key, (2, 9, 9, 4))
  plain = Conv(5, policy=ConvPolicy('partial', algorithm='xla'))
  expected, variables = plain.init_with_output(key, x)
  for algorithm in OURS:
    layer = Conv(5, policy=ConvPolicy('partial', algorithm=algorithm))
    close(layer.apply(variables, x), expected)


def test_a_network_computes_the_same_by_choice_and_by_xla(key, monkeypatch):
  monkeypatch.setattr('symjax.nn.conv.costs._SMALL', 0)
  x = jax.random.normal(key, (2, 8, 8, 3))

  def logits(algorithm, variables=None):
    policy = ConvPolicy(algorithm=algorithm)
    model = get_model('vgg', 10, policy, depth=11, head='average', stages=2)
    if variables is None:
      variables = model.init(key, x)
    return jax.jit(model.apply)(variables, x), variables

  expected, variables = logits('xla')
  close(logits('auto', variables)[0], expected)


def test_xlas_own_can_be_differentiated_forwards(key):
  x, kernel = arrays(key)
  convolve = functools.partial(conv2d, kernel=kernel, algorithm='xla')
  _, tangent = jax.jvp(convolve, (x,), (x,))
  close(tangent, convolve(x))
