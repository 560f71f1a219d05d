"""Moves of the weights that leave a network's function as it is (chapter 14.6)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from symjax.nn import Conv, ConvPolicy
from symjax.nn.layers import he_normal_fan_out


class MLP(nn.Module):
  """Two hidden layers with biases."""

  @nn.compact
  def __call__(self, x):
    for width in (7, 5):
      x = nn.relu(nn.Dense(width)(x.reshape(len(x), -1)))
    return nn.Dense(3, name='head')(x)


class CNN(nn.Module):
  """Two convolutions, the second strided, and a linear head on the map."""

  @nn.compact
  def __call__(self, x):
    for width, stride in ((7, 1), (5, 2)):
      conv = Conv(width, strides=(stride, stride), policy=ConvPolicy('reflect'))
      x = nn.relu(conv(x))
    return nn.Dense(3, name='head')(x.mean((1, 2)))


# The module that makes hidden units, the one that reads them.
HIDDEN = {
  MLP: (('Dense_0', 'Dense_1'), ('Dense_1', 'head')),
  CNN: (('Conv_0', 'Conv_1'), ('Conv_1', 'head')),
}
LAYERS = [(model, *pair) for model, pairs in HIDDEN.items() for pair in pairs]


@functools.cache
def problem(model):
  """Drawn parameters, and the network as a function of them."""
  numbers = np.random.default_rng(0)
  images = jnp.asarray(numbers.standard_normal((4, 7, 7, 2)), jnp.float32)
  params = model().init(jax.random.key(0), images)['params']
  params = jax.tree.map(
    lambda leaf: jnp.asarray(numbers.standard_normal(leaf.shape) / 2, leaf.dtype),
    params,
  )
  return params, jax.jit(lambda params: model().apply({'params': params}, images))


def rewritten(params, maker, reader, of_maker, of_reader):
  """`params` with both arrays of `maker` and the kernel of `reader` replaced.

  The units are the last axis of what makes them and the last but one of what reads.
  """
  made = jax.tree.map(of_maker, params[maker])
  read = params[reader] | {'kernel': of_reader(params[reader]['kernel'])}
  return params | {maker: made, reader: read}


@pytest.mark.parametrize('model, maker, reader', LAYERS)
def test_hidden_units_may_change_places(model, maker, reader):
  params, run = problem(model)
  count = params[maker]['bias'].size
  order = np.random.default_rng(1).permutation(count)
  assert (order != np.arange(count)).any()

  def made(leaf):
    return leaf[..., order]

  both = rewritten(params, maker, reader, made, lambda leaf: leaf[..., order, :])
  np.testing.assert_allclose(run(both), run(params), rtol=1e-4, atol=1e-5)
  # The units' readers must follow.
  alone = rewritten(params, maker, reader, made, lambda leaf: leaf)
  assert abs(run(alone) - run(params)).max() > 0.05


@pytest.mark.parametrize('model, maker, reader', LAYERS)
@pytest.mark.parametrize('scale', [0.01, 3.0])
def test_relu_layers_exchange_positive_scales(model, maker, reader, scale):
  """ReLU(a z) = a ReLU(z) for a > 0, of the whole layer and of every unit alone."""
  params, run = problem(model)
  count = params[maker]['bias'].size
  for a in (np.full(count, scale), scale ** np.linspace(-1, 1, count)):
    a = jnp.asarray(a, jnp.float32)
    scaled = rewritten(
      params,
      maker,
      reader,
      lambda leaf, a=a: leaf * a.reshape(*(1,) * (leaf.ndim - 1), -1),
      lambda leaf, a=a: leaf / a.reshape(*(1,) * (leaf.ndim - 2), -1, 1),
    )
    np.testing.assert_allclose(run(scaled), run(params), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('model, maker, reader', LAYERS)
def test_relu_layers_do_not_exchange_signs(model, maker, reader):
  params, run = problem(model)
  mirrored = rewritten(params, maker, reader, jnp.negative, jnp.negative)
  assert abs(run(mirrored) - run(params)).max() > 0.05


def normalize(x, epsilon, scale=1.0, bias=0.0):
  """linen's BatchNorm of [batch, ..., channels], by the batch's statistics."""
  norm = nn.BatchNorm(use_running_average=False, epsilon=epsilon)
  variables = norm.init(jax.random.key(0), x)
  params = {'scale': jnp.full(x.shape[-1], scale), 'bias': jnp.full(x.shape[-1], bias)}
  variables = variables | {'params': params}
  return norm.apply(variables, x, mutable='batch_stats')[0]


@pytest.fixture
def maps():
  return jnp.asarray(2 + np.random.default_rng(0).standard_normal((8, 5, 5, 4)))


def test_batch_norm_removes_scale_and_shift(float64, standard_promotion, maps):
  """Of what precedes it, channel by channel, as its epsilon goes to 0."""
  scale, shift = jnp.asarray([0.1, 0.5, 2.0, 30.0]), jnp.asarray([-3.0, 0.0, 1.0, 9.0])
  moved = maps * scale[None, None, None] + shift[None, None, None]
  gaps = [abs(normalize(moved, e) - normalize(maps, e)).max() for e in (1e-2, 1e-4, 0)]
  assert gaps[0] > 0.1
  assert 50 < gaps[0] / gaps[1] < 200  # First order in epsilon.
  assert gaps[2] < 1e-12
  # Positive scales only: BN(-x) = -BN(x).
  np.testing.assert_allclose(normalize(-maps, 0), -normalize(maps, 0), atol=1e-12)


def test_batch_norm_adds_its_own_scale_and_shift(float64, standard_promotion, maps):
  y = normalize(30 * maps - 7, 0, scale=0.5, bias=3.0)
  np.testing.assert_allclose(y.mean((0, 1, 2)), 3, rtol=1e-12)
  np.testing.assert_allclose(y.std((0, 1, 2)), 0.5, rtol=1e-12)


def test_batch_norm_makes_a_bias_before_it_redundant(float64, standard_promotion, maps):
  """And the scale of a convolution's filters meaningless."""
  conv = Conv(3, param_dtype=jnp.float64)
  params = conv.init(jax.random.key(0), maps)['params']
  other = {'kernel': params['kernel'] * 7, 'bias': params['bias'] + 5.0}
  plain, moved = (conv.apply({'params': p}, maps) for p in (params, other))
  assert abs(moved - plain).max() > 1
  np.testing.assert_allclose(normalize(moved, 0), normalize(plain, 0), atol=1e-11)


NETS, WIDTH, DEPTH = 128, 128, 12


def mean_growth(initializer):
  """Mean square of the activations behind `DEPTH` ReLU layers over that of the input.

  Averaged over `NETS` independent networks without biases, `WIDTH` units a layer.
  """

  def layer(h, key):
    kernels = jax.vmap(lambda key: initializer(key, (WIDTH, WIDTH), jnp.float32))(
      jax.random.split(key, NETS)
    )
    return nn.relu(jnp.einsum('ni,nio->no', h, kernels)), None

  keys = jax.random.split(jax.random.key(0), DEPTH)
  outputs = jax.lax.scan(layer, jnp.ones((NETS, WIDTH)), keys)[0]
  return float(jnp.square(outputs).mean())


@pytest.mark.parametrize('initializer', [
  nn.initializers.he_normal(), he_normal_fan_out, jax.nn.initializers.normal(
    np.sqrt(2 / WIDTH)
  ),
])  # fmt: skip
def test_he_initialisation_keeps_the_variance(initializer):
  """Within four standard deviations of its own statistics.

  Given its input, a unit is Gaussian of variance 2 q, q the mean square of the input,
  so ReLU's mean square is q in expectation: its ratio over all layers has mean 1
  exactly. The squares of a half-normal have relative variance 5, so one layer of n
  units adds the factor 1 + 5 / n to the second moment. linen cuts the Gaussian's tails
  and keeps its variance, which makes the spread smaller still.
  """
  deviation = np.sqrt(((1 + 5 / WIDTH) ** DEPTH - 1) / NETS)
  assert deviation < 0.07
  assert (
    abs(mean_growth(jax.jit(initializer, static_argnums=(1, 2))) - 1) < 4 * deviation
  )


@pytest.mark.parametrize('gain, growth', [(1.0, 2.0**-DEPTH), (0.5, 4.0**-DEPTH)])
def test_a_smaller_start_fades_layer_by_layer(gain, growth):
  """Variance 1 / n, right for tanh's linear range, halves at every ReLU."""
  initializer = nn.initializers.variance_scaling(gain, 'fan_in', 'normal')
  measured = mean_growth(initializer)
  assert measured < 1e-3
  np.testing.assert_allclose(measured, growth, rtol=0.3)
