"""Average pooling against numpy, under every border mode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_reference import pool

from symjax.nn import MODES, AveragePool, ConvPolicy, trace

FILLS = {'symmetric': 'symmetric', 'replicate': 'edge', 'circular': 'wrap'}
BORDER = ((1, 1), (1, 1))


@pytest.mark.parametrize('mode', MODES)
def test_averages_are_those_of_numpy(key, mode):
  x = jax.random.normal(key, (2, 6, 5, 3))
  layer = AveragePool((3, 3), (1, 1), BORDER, ConvPolicy(mode))
  y = layer.apply({}, x)
  wide, border = np.asarray(x, np.float64), ((0, 0), *BORDER, (0, 0))
  if mode == 'valid':
    expected = pool(wide, 3, 1, np.mean)
  elif mode == 'partial':  # Of real pixels only.
    expected = pool(np.pad(wide, border, constant_values=np.nan), 3, 1, np.nanmean)
  elif mode == 'zero':  # Zeros count.
    expected = pool(np.pad(wide, border), 3, 1, np.mean)
  else:
    expected = pool(np.pad(wide, border, FILLS.get(mode, mode)), 3, 1, np.mean)
  np.testing.assert_allclose(y, expected, atol=1e-6)


def test_bfloat16_is_added_up_in_float32():
  """256 ones and one of 2^-8 each: in bfloat16 the sum would stop growing."""
  x = jnp.full((1, 17, 17, 1), 1.0, jnp.bfloat16)
  y = AveragePool((17, 17), (1, 1)).apply({}, x)
  assert y.dtype == jnp.bfloat16
  assert float(y[0, 0, 0, 0]) == 1.0


def test_the_layer_table_lists_it():
  (layer,) = trace(AveragePool((3, 3), (2, 2)), (8, 7, 4))
  assert (layer.kind, layer.window.stride) == ('average_pool', (2, 2))
  assert (layer.input_shape, layer.output_shape) == ((8, 7, 4), (3, 3, 4))
