import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from symjax.errors import UserError
from symjax.nn import MODES, Conv, ConvPolicy, Window, same_widths
from symjax.nn.padding import pad, partial_ratio

FILLED = [mode for mode in MODES if mode not in ('valid', 'partial')]
NUMPY_MODES = {
  'zero': 'constant',
  'reflect': 'reflect',
  'symmetric': 'symmetric',
  'replicate': 'edge',
  'circular': 'wrap',
}


def turn(x):
  return jnp.rot90(x, axes=(1, 2))


def convolve(x, kernel, bias, stride, widths, dilation):
  """Windows read one by one, in float64: PartialConv (Liu et al., Eq. 1) and plain.

  Returns (zero-padded outputs, PartialConv's outputs).
  """
  x, kernel, bias = (np.asarray(v, np.float64) for v in (x, kernel, bias))
  (top, bottom), (left, right) = widths
  inside = np.ones(x.shape[1:3])
  x = np.pad(x, ((0, 0), *widths, (0, 0)))
  inside = np.pad(inside, widths)
  kh, kw = kernel.shape[:2]
  rows = range(0, x.shape[1] - dilation * (kh - 1), stride)
  columns = range(0, x.shape[2] - dilation * (kw - 1), stride)
  plain = np.zeros((len(x), len(rows), len(columns), kernel.shape[3]))
  partial = np.zeros_like(plain)
  for i, row in enumerate(rows):
    for j, column in enumerate(columns):
      window = (
        slice(row, row + dilation * (kh - 1) + 1, dilation),
        slice(column, column + dilation * (kw - 1) + 1, dilation),
      )
      summed = np.einsum('bhwi,hwio->bo', x[:, window[0], window[1]], kernel)
      plain[:, i, j] = summed + bias
      if real := inside[window].sum():
        partial[:, i, j] = summed * kh * kw / real + bias
  return plain, partial


@pytest.mark.parametrize('mode', FILLED)
def test_borders_are_numpys(key, mode):
  x = jax.random.normal(key, (2, 5, 4, 3))
  widths = ((2, 1), (0, 3))
  expected = np.pad(x, ((0, 0), *widths, (0, 0)), mode=NUMPY_MODES[mode])
  np.testing.assert_array_equal(pad(x, widths, mode), expected)


@pytest.mark.parametrize(
  'mode, limit', [('reflect', 3), ('symmetric', 4), ('circular', 4)]
)
def test_border_wider_than_the_map_is_refused(mode, limit):
  x = jnp.ones((1, 4, 9, 1))
  assert pad(x, ((limit, 0), (0, 0)), mode).shape[1] == 4 + limit
  with pytest.raises(UserError, match=f'{mode} padding .* 4x9 map .at most {limit}'):
    pad(x, ((limit + 1, 0), (0, 0)), mode)


@pytest.mark.parametrize('size', [7, 8, 9, 224])
@pytest.mark.parametrize('kernel', [1, 2, 3, 7])
@pytest.mark.parametrize('stride', [1, 2, 3])
@pytest.mark.parametrize('dilation', [1, 2])
def test_same_widths_are_tensorflows(size, kernel, stride, dilation):
  reach = dilation * (kernel - 1) + 1
  [expected] = lax.padtype_to_pads((size,), (reach,), (stride,), 'SAME')
  assert same_widths(size, kernel, stride, dilation) == expected


def test_same_mirrors_explicit_at_stride_two():
  """Document A, footnote 1: the border is seen top-left; by TensorFlow bottom-right."""
  window = Window((3, 3), (2, 2), ((1, 1), (1, 1)))
  explicit = ConvPolicy().apply_widths(window, (224, 224))
  same = ConvPolicy(widths='same').apply_widths(window, (224, 224))
  for axis in (0, 1):
    np.testing.assert_array_equal(
      explicit.taps_inside(axis, 224), same.taps_inside(axis, 224)[::-1]
    )
    assert explicit.taps_inside(axis, 224)[0] == 2


@pytest.mark.parametrize('size', [(8, 8), (9, 7), (3, 4)])
@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('dilation', [1, 2])
@pytest.mark.parametrize('widths', ['explicit', 'same'])
def test_zero_and_partial_equal_windows_read_one_by_one(
  float64, key, size, stride, dilation, widths
):
  keys = jax.random.split(key, 3)
  x = jax.random.normal(keys[0], (2, *size, 3), jnp.float64)
  for index, mode in enumerate(('zero', 'partial')):
    layer = Conv(
      4,
      strides=(stride, stride),
      dilation=(dilation, dilation),
      policy=ConvPolicy(mode, widths),
      bias_init=jax.nn.initializers.normal(),
      param_dtype=jnp.float64,
    )
    variables = layer.init(keys[1], x)
    window = layer.window(size)
    expected = convolve(
      x, *variables['params'].values(), stride, window.widths, dilation
    )[index]
    np.testing.assert_allclose(layer.apply(variables, x), expected, atol=1e-12)


def test_partial_counts_of_a_five_tap_row():
  """How often PartialConv reads each pixel, from the border inward (Mind the Pad)."""
  window = Window((1, 5), (1, 1), ((0, 0), (2, 2)))
  ratio = partial_ratio(window, (1, 12))[0]
  reads = [
    sum(ratio[o] for o in range(12) if abs(o - pixel) <= 2) for pixel in range(6)
  ]
  np.testing.assert_allclose(reads[:5], [3.92, 4.92, 5.92, 5.25, 5.0], atol=5e-3)


def test_partial_outputs_without_real_pixels_are_zero(key):
  layer = Conv(
    2,
    widths=((4, 0), (0, 0)),
    policy=ConvPolicy('partial'),
    bias_init=jax.nn.initializers.ones,
  )
  y, _ = layer.init_with_output(key, jnp.ones((1, 5, 5, 1)))
  assert (y[:, :2] == 0).all()  # Windows that end before the first real row.
  assert (y[:, 2:] != 0).all()


@pytest.mark.parametrize('mode', MODES)
def test_box_filters_keep_a_constant_map_constant_unless_zeros_leak_in(key, mode):
  x = jnp.ones((1, 6, 6, 2))
  ones = jax.nn.initializers.ones
  layer = Conv(3, policy=ConvPolicy(mode), use_bias=False, kernel_init=ones)
  y, _ = layer.init_with_output(key, x)
  assert np.allclose(y, 18, atol=1e-5) == (mode != 'zero')


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize(
  'size, stride, exact', [(8, 1, True), (9, 2, True), (8, 2, False)]
)
def test_symmetric_kernels_commute_with_turns_where_the_border_is_even(
  key, mode, size, stride, exact
):
  """At stride 2 an even map breaks the symmetry in every mode, an odd one keeps it."""
  x = jax.random.normal(key, (1, size, size, 1))
  layer = Conv(1, strides=(stride, stride), policy=ConvPolicy(mode), use_bias=False)
  kernel = jnp.array([[1.0, 2.0, 1.0], [2.0, -3.0, 2.0], [1.0, 2.0, 1.0]])

  def f(x):
    return layer.apply({'params': {'kernel': kernel[:, :, None, None]}}, x)

  assert np.allclose(f(turn(x)), turn(f(x)), atol=1e-5) == exact


def test_unknown_choices_name_the_known():
  with pytest.raises(
    UserError, match="unknown padding 'refect'; choose from zero, ref"
  ):
    ConvPolicy(padding='refect')
  with pytest.raises(UserError, match='choose from explicit, same'):
    ConvPolicy(widths='wide')
