"""Tests run under a hostile JAX: strict promotion, several devices."""

import os
import shutil
import tempfile

# Before JAX is imported, for this process and for those that tests start. Compiling is
# most of what the suite does, and what one test compiled serves another.
_COMPILED = None
if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:  # A worker has it from its master.
  _COMPILED = tempfile.mkdtemp(prefix='symjax-compiled-')
  os.environ['JAX_COMPILATION_CACHE_DIR'] = _COMPILED
  os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0'
  os.environ['JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES'] = '-1'

import jax  # noqa: E402
import pytest  # noqa: E402

# Before any backend exists: four CPU devices, so that sharding is always real.
jax.config.update('jax_num_cpu_devices', 4)
jax.config.update('jax_numpy_dtype_promotion', 'strict')
jax.config.update('jax_numpy_rank_promotion', 'raise')


def pytest_unconfigure():
  """Takes away what was compiled."""
  if _COMPILED:
    shutil.rmtree(_COMPILED, ignore_errors=True)


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
