import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjax.errors import UserError
from symjax.nn import ConvPolicy, Downsample
from symjax.nn.blur import blur, blur_kernel, blur_window

SIZES = range(1, 8)


@pytest.mark.parametrize('size', SIZES)
def test_weights_are_repeated_averages_of_two(size):
  """n - 1 times the mean of neighbours: Zhang's Rect, Tri, Bin."""
  weights = np.ones(1)
  for _ in range(size - 1):
    weights = np.convolve(weights, [0.5, 0.5])
  np.testing.assert_array_equal(blur_kernel(size), weights)


@pytest.mark.parametrize('mode, filled', [('reflect', 'reflect'), ('circular', 'wrap')])
def test_blur_equals_windows_read_one_by_one(float64, key, mode, filled):
  """Odd and even sides (9x8), strides 1 and 2, kernels odd and even."""
  x = jax.random.normal(key, (2, 9, 8, 3), jnp.float64)
  cases = list(itertools.product(SIZES, (1, 2)))

  @jax.jit
  def blurred(x):
    return [blur(x, blur_window(k, (s, s), mode), mode) for k, s in cases]

  for (size, stride), ours in zip(cases, blurred(x), strict=True):
    low, high = (size - 1) // 2, size - 1 - (size - 1) // 2
    padded = np.pad(x, ((0, 0), (low, high), (low, high), (0, 0)), mode=filled)
    weights = np.outer(blur_kernel(size), blur_kernel(size))
    expected = [
      [
        np.einsum('bhwc,hw->bc', padded[:, i : i + size, j : j + size], weights)
        for j in range(0, 8, stride)
      ]
      for i in range(0, 9, stride)
    ]
    np.testing.assert_allclose(ours, np.moveaxis(expected, 2, 0), atol=1e-12)


@pytest.mark.parametrize('padding', ['zero', 'partial', 'replicate', 'valid'])
def test_constant_maps_stay_constant_up_to_the_border(padding):
  """Also in networks that pad zeros: those would darken the border of every map."""
  policy = ConvPolicy(padding, downsampling='blur', blur_size=5)
  x = np.full((1, 8, 9, 1), 3.0, np.float32)
  y = jax.jit(Downsample((2, 2), policy).apply)({}, x)
  assert y.shape == ((1, 2, 3, 1) if padding == 'valid' else (1, 4, 5, 1))
  np.testing.assert_allclose(y, 3.0, rtol=1e-6)


def test_a_map_is_left_as_many_pixels_as_stride_leaves():
  for size, stride, pixels in itertools.product(SIZES, (1, 2, 3), range(4, 12)):
    window = blur_window(size, (stride, stride), 'reflect')
    assert window.output_size((pixels, pixels)) == (-(-pixels // stride),) * 2


@pytest.mark.parametrize('pixels', [8, 9])
def test_even_kernels_mirror_even_maps_and_odd_kernels_odd_ones(pixels):
  x = np.random.default_rng(0).standard_normal((1, pixels, pixels, 1), np.float32)

  @jax.jit
  def blurred(x):
    return [blur(x, blur_window(k, (2, 2), 'reflect'), 'reflect') for k in SIZES]

  for size, y, mirrored in zip(SIZES, blurred(x), blurred(x[:, :, ::-1]), strict=True):
    same = np.allclose(y, np.asarray(mirrored)[:, :, ::-1], atol=1e-6)
    assert same == ((size - pixels) % 2 == 0)


def test_maps_too_small_for_the_border_of_the_blur_are_refused():
  layer = Downsample((2, 2), ConvPolicy(downsampling='blur'))
  with pytest.raises(UserError, match='reflect padding of 2 .* 2x2 map .at most 1'):
    layer.apply({}, jnp.ones((1, 2, 2, 1)))
  policy = ConvPolicy('valid', downsampling='blur')
  with pytest.raises(UserError, match='Downsample: its 4x4 window does not fit a 3x3'):
    Downsample((2, 2), policy).apply({}, jnp.ones((1, 3, 3, 1)))
