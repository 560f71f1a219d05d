"""Tests run under a hostile JAX: strict promotion, several devices."""

import jax
import pytest

# Before any backend exists: four CPU devices, so that sharding is always real.
jax.config.update('jax_num_cpu_devices', 4)
jax.config.update('jax_numpy_dtype_promotion', 'strict')
jax.config.update('jax_numpy_rank_promotion', 'raise')


@pytest.fixture
def key():
  return jax.random.key(0)


@pytest.fixture
def float64():
  """Runs one test with 64-bit types enabled."""
  with jax.enable_x64(True):
    yield


@pytest.fixture
def standard_promotion():
  """For linen's BatchNorm outside of float32 and for optax's Adam, which mix dtypes."""
  with jax.numpy_dtype_promotion('standard'):
    yield
