"""Bilinear resizing against PyTorch's formula, pixel by pixel."""

import jax.numpy as jnp
import numpy as np
import pytest

from symjax.nn import resize_bilinear


def interpolate(x, size):
  """Along each axis: max(m / n (i + 1/2) - 1/2, 0), its floor, and the next pixel."""
  for axis, positions in zip((1, 2), size, strict=True):
    pixels = x.shape[axis]
    rows = []
    for i in range(positions):
      source = max(pixels / positions * (i + 0.5) - 0.5, 0.0)
      low = int(source)
      high = min(low + 1, pixels - 1)
      low_row, high_row = (np.take(x, p, axis) for p in (low, high))
      rows.append(low_row + (source - low) * (high_row - low_row))
    x = np.stack(rows, axis)
  return x


@pytest.mark.parametrize(
  'before, after',
  [((3, 4), (24, 32)), ((3, 4), (17, 30)), ((7, 5), (3, 5)), ((1, 2), (4, 9))],
)
def test_pixels_are_those_of_the_formula(float64, before, after):
  x = np.random.default_rng(0).normal(size=(2, *before, 3))
  y = resize_bilinear(jnp.asarray(x), after)
  assert y.dtype == jnp.float64
  np.testing.assert_allclose(y, interpolate(x, after), atol=1e-13)


def test_mirrored_maps_give_mirrored_results():
  x = np.random.default_rng(0).normal(size=(1, 4, 5, 2)).astype(np.float32)
  y = resize_bilinear(jnp.asarray(x), (11, 33))
  for axis in (1, 2):
    mirrored = resize_bilinear(jnp.asarray(np.flip(x, axis)), (11, 33))
    np.testing.assert_allclose(mirrored, np.flip(y, axis), atol=1e-6)


def test_whole_ratios_are_exact_in_bfloat16():
  """At 8 times the size, as behind an output stride of 8: weights are odd 16ths."""
  x = jnp.asarray(np.arange(12).reshape(1, 3, 4, 1), jnp.bfloat16)
  y = resize_bilinear(x, (24, 32))
  assert y.dtype == jnp.bfloat16
  exact = interpolate(np.asarray(x, np.float64), (24, 32))
  np.testing.assert_allclose(np.asarray(y, np.float64), exact, rtol=2**-8, atol=2**-8)
