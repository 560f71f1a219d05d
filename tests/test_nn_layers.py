import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from symjax.errors import UserError
from symjax.nn import MODES, Conv, ConvPolicy, MaxPool, adaptive_average_pool


@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('groups', [1, 2, 4])
def test_explicit_zero_padding_is_linens_convolution(key, stride, groups):
  """The same parameters give what `flax.linen.Conv` gives with the same pads."""
  x = jax.random.normal(key, (2, 8, 7, 4))
  options = dict(kernel_size=(5, 3), strides=(stride, stride))
  ours = Conv(8, groups=groups, **options)
  theirs = nn.Conv(8, feature_group_count=groups, padding=((2, 2), (1, 1)), **options)
  variables = theirs.init(key, x)
  assert jax.tree.map(jnp.shape, ours.init(key, x)) == jax.tree.map(
    jnp.shape, variables
  )
  np.testing.assert_allclose(
    ours.apply(variables, x), theirs.apply(variables, x), atol=1e-6
  )


@pytest.mark.parametrize('mode', MODES)
def test_bfloat16_computes_in_bfloat16_and_holds_float32(key, mode):
  x = jax.random.normal(key, (1, 8, 8, 4))
  layer = Conv(4, policy=ConvPolicy(mode), dtype=jnp.bfloat16)
  y, variables = layer.init_with_output(key, x)
  assert y.dtype == jnp.bfloat16
  assert variables['params']['kernel'].dtype == jnp.float32
  wide = Conv(4, policy=ConvPolicy(mode)).apply(variables, x)
  np.testing.assert_allclose(y.astype(jnp.float32), wide, atol=0.05)


def test_even_kernels_need_widths(key):
  with pytest.raises(UserError, match='kernel of 2 taps has no middle'):
    Conv(1, kernel_size=(2, 2)).init(key, jnp.ones((1, 4, 4, 1)))
  layer = Conv(1, kernel_size=(2, 2), widths=((0, 1), (0, 1)))
  y, _ = layer.init_with_output(key, jnp.ones((1, 4, 4, 1)))
  assert y.shape == (1, 4, 4, 1)


def test_groups_that_do_not_divide_are_refused(key):
  with pytest.raises(UserError, match='3 groups'):
    Conv(6, groups=3).init(key, jnp.ones((1, 4, 4, 4)))


@pytest.mark.parametrize(
  'layer', [Conv(1, policy=ConvPolicy('valid')), MaxPool((3, 3))]
)
def test_maps_smaller_than_the_window_are_refused(key, layer):
  with pytest.raises(UserError, match='3x3 window does not fit a 2x5 map'):
    layer.init(key, jnp.ones((1, 2, 5, 1)))


def test_pooling_never_picks_its_border():
  x = -jnp.arange(1.0, 17.0).reshape(1, 4, 4, 1)
  y = MaxPool((3, 3), (2, 2), ((1, 1), (1, 1))).apply({}, x)
  np.testing.assert_array_equal(y[0, :, :, 0], [[-1, -2], [-5, -6]])


@pytest.mark.parametrize(
  'size, cells', [((1, 1), 7), ((9, 4), 7), ((14, 21), 7), ((5, 6), 4)]
)
def test_adaptive_average_pool_averages_pytorchs_cells(key, size, cells):
  x = jax.random.normal(key, (2, *size, 3))
  y = adaptive_average_pool(x, (cells, cells))
  for i in range(cells):
    for j in range(cells):
      rows, columns = (
        slice(int(np.floor(c * n / cells)), int(np.ceil((c + 1) * n / cells)))
        for c, n in ((i, size[0]), (j, size[1]))
      )
      expected = np.asarray(x, np.float64)[:, rows, columns].mean(axis=(1, 2))
      np.testing.assert_allclose(y[:, i, j], expected, atol=1e-6)


@pytest.mark.parametrize('side', [6, 7])
def test_tiles_are_pooled_as_linen_pools_them(key, side):
  x = jax.random.normal(key, (2, side, side, 3))

  def values_and_gradient(pool):
    y, pull = jax.vjp(pool, x)
    return y, pull(y)[0]

  ours = values_and_gradient(lambda x: MaxPool((2, 2)).apply({}, x))
  theirs = values_and_gradient(lambda x: nn.max_pool(x, (2, 2), (2, 2)))
  jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_pixels_that_share_a_maximum_share_its_gradient():
  """The gradient of a mirrored map is the mirrored gradient, also of a flat one."""
  gradient = jax.grad(lambda x: MaxPool((2, 2)).apply({}, x).sum())
  np.testing.assert_array_equal(gradient(jnp.ones((1, 2, 2, 1))), 0.25)
