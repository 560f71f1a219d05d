"""How often pixels are read, against counting by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from symjax.models import get_model
from symjax.nn import Conv, ConvPolicy, MaxPool, foveation, trace
from symjax.nn.reading import read_layers

# Reads of a row's pixels from the border inward, in taps of the kernel, by border mode,
# kernel and padding: the maps of "Mind the Pad" (Alsallakh et al., ICLR 2021).
ROWS = [
  ('valid', 3, 1, (1, 2, 3)),
  ('zero', 3, 1, (2, 3, 3)),
  ('zero', 3, 2, (3, 3, 3)),  # 'Full' padding.
  ('circular', 3, 1, (3, 3, 3)),
  ('symmetric', 3, 1, (3, 3, 3)),
  ('replicate', 3, 1, (3, 3, 3)),
  ('reflect', 3, 1, (2, 4, 3)),
  ('partial', 3, 1, (2.5, 3.5, 3)),
  ('valid', 5, 2, (1, 2, 3, 4, 5)),
  ('zero', 5, 2, (3, 4, 5)),
  ('reflect', 5, 2, (3, 6, 6, 5)),
  ('replicate', 5, 2, (6, 4, 5)),
  ('partial', 5, 2, (3.92, 4.92, 5.92, 5.25, 5)),
]


@pytest.mark.parametrize('mode, taps, padding, expected', ROWS)
def test_rows_of_one_convolution_are_the_published_ones(mode, taps, padding, expected):
  layer = Conv(1, (1, taps), widths=((0, 0), (padding,) * 2), policy=ConvPolicy(mode))
  row = foveation(layer, (1, 16, 1))[0]
  row *= taps / row[8]  # All taps of a kernel read the middle.
  np.testing.assert_allclose(row[: len(expected)], expected, atol=5e-3)
  np.testing.assert_allclose(row, row[::-1], atol=1e-5)


def test_strides_read_an_even_row_unevenly_and_an_odd_one_evenly():
  layer = Conv(1, (1, 3), (1, 2), ((0, 0), (1, 1)))
  twelve, thirteen = (foveation(layer, (1, n, 1))[0] for n in (12, 13))
  np.testing.assert_allclose(
    twelve / twelve[0], [1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 1], rtol=1e-6
  )
  np.testing.assert_allclose(thirteen / thirteen[0], [1, 2] * 6 + [1], rtol=1e-6)


def matrix(size, kernel, stride, margin):
  """[positions, pixels] weights of windows along an axis, each tap 1 / kernel."""
  starts = range(-margin, size + margin - kernel + 1, stride)
  return np.array(
    [
      [float(start <= p < start + kernel) / kernel for p in range(size)]
      for start in starts
    ]
  )


class Branched(nn.Module):
  """Two convolutions beside a pooling, with all that has no part in reading."""

  @nn.compact
  def __call__(self, x, *, train=False):
    y = nn.relu(nn.BatchNorm(use_running_average=not train)(Conv(3, strides=(2, 2))(x)))
    y = Conv(5, groups=1, kernel_size=(5, 5))(
      nn.Dropout(0.5, deterministic=not train)(y)
    )
    shortcut = MaxPool((3, 3), (2, 2), ((1, 1), (1, 1)))(x)
    y = y + nn.Conv(5, (1, 1))(shortcut)
    return nn.Dense(4)(y.mean(axis=(1, 2)))


def test_branches_are_counted_path_by_path():
  def paths(size):
    once = matrix(size, 3, 2, 1)
    return (matrix(len(once), 5, 1, 2) @ once).sum(axis=0), once.sum(axis=0)

  (down, pooled_down), (right, pooled_right) = paths(10), paths(9)
  expected = np.outer(down, right) + np.outer(pooled_down, pooled_right)
  found = foveation(Branched(), (10, 9, 2), train=False)
  np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-5)


def test_it_is_the_derivative_of_the_network_with_equal_weights():
  model = get_model('connected', 3, ConvPolicy('partial'), features=(2, 3))
  images = jnp.ones((1, 9, 8, 2))

  def equal(path, leaf):
    return leaf * 0 + (path[-1].key == 'kernel') / np.prod(leaf.shape[:-1])

  @jax.jit
  def derivative(images):
    params = model.init(jax.random.key(0), images)['params']
    params = jax.tree_util.tree_map_with_path(equal, params)
    return jax.grad(lambda x: model.apply({'params': params}, x).sum())(images)

  reads = np.asarray(derivative(images))[0].sum(axis=-1)
  found = foveation(model, (9, 8, 2))
  np.testing.assert_allclose(found, reads / reads.mean(), rtol=1e-4)


@pytest.mark.parametrize(
  'name, size, even',
  [('resnet', 224, False), ('resnet', 225, True), ('vgg', 224, True)],
)
def test_resnet_reads_224_pixels_unevenly_and_225_evenly(name, size, even):
  options = dict(depth=18) if name == 'resnet' else {}
  reads = foveation(get_model(name, 1000, **options), (size, size, 3), train=False)
  np.testing.assert_allclose(reads, reads.T, atol=1e-5)
  assert np.allclose(reads, reads[::-1], atol=1e-5) == even
  if not even:  # PyTorch's: the bottom and the right are read least.
    assert reads[-32:].mean() < 0.7 * reads[:32].mean()


@pytest.mark.parametrize('evaluation', ['fixed', 'alternate', 'average'])
def test_the_mean_of_balanced_pooling_is_even_where_its_parts_are_not(evaluation):
  policy = ConvPolicy(downsampling='balanced', balanced_evaluation=evaluation)
  model = get_model('connected', 3, policy, features=(1, 1, 1))
  reads = foveation(model, (16, 16, 1))
  assert np.allclose(reads, reads[::-1], atol=1e-5) == (evaluation == 'average')


class Same(nn.Module):
  """TensorFlow's widths, as linen spells them and as a policy does."""

  linen: bool

  @nn.compact
  def __call__(self, x):
    if self.linen:
      return nn.Conv(2, (3, 3), 2)(nn.Conv(2, (5, 5), 2)(x))
    conv = Conv(2, (5, 5), (2, 2), policy=ConvPolicy(widths='same'))
    return Conv(2, strides=(2, 2), policy=ConvPolicy(widths='same'))(conv(x))


def test_layers_of_linen_read_as_those_of_symjax():
  found = [foveation(Same(linen), (12, 12, 1)) for linen in (True, False)]
  np.testing.assert_allclose(*found, rtol=1e-5)
  assert (
    found[0][-2:].mean() > 1.05 * found[0][:2].mean()
  )  # The mirror image of PyTorch.


@pytest.mark.parametrize(
  'name, options, policy',
  [
    ('cifar_resnet', dict(depth=20), dict()),
    ('gcnn', dict(depth=3, channels=1), dict(downsampling='blur', blur_size=3)),
    ('vgg', dict(depth=11, width=1 / 64), dict(padding='circular', downsampling='aps')),
  ],
)
def test_a_network_that_only_reads_has_the_same_layers(name, options, policy):
  model = get_model(name, 3, ConvPolicy(**policy), **options)
  table = trace(model, (32, 32, 3), train=False)
  assert read_layers(model, (32, 32, 3), train=False) == table
