"""All algorithms of convolution compute the same thing."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from symjax.nn.conv import winograd
from symjax.nn.conv.passes import ALGORITHMS, PASSES
from symjax.nn.conv.problem import Problem
from symjax.nn.window import Window
from tests.conv_reference import draw_arrays, problems, reference


@functools.partial(jax.jit, static_argnums=3)
def by_every_algorithm(x, kernel, dy, problem):
  """Algorithm -> (y, dx, dk), of those that can."""
  arguments = dict(zip(PASSES, ((x, kernel), (dy, kernel), (x, dy)), strict=True))
  return {
    name: tuple(getattr(module, p)(*arguments[p], problem) for p in PASSES)
    for name, module in ALGORITHMS.items()
    if module.supports(problem)
  }


def check(problem, dtype, tolerance):
  arrays = draw_arrays(problem, seed=0)
  expected = reference(*arrays, problem)
  found = by_every_algorithm(*(jnp.asarray(a, dtype) for a in arrays), problem)
  assert set(found) >= {'xla', 'im2col', 'fft'}
  for name, values in found.items():
    for what, value, true in zip(PASSES, values, expected, strict=True):
      assert value.dtype == dtype and value.shape == true.shape
      error = np.abs(np.asarray(value, np.float64) - true).max()
      # Of sums over no pixel nothing is left to be relative to.
      assert error <= tolerance * max(np.abs(true).max(), 1.0), (name, what)


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(problem=problems())
def test_all_agree_with_sums_over_taps(problem):
  check(problem, jnp.float32, 1e-5)


PLAIN = Problem(4, (2, 2), 3, 2, Window((3, 3), (1, 1), ((1, 1), (1, 1))))
STRIDED = Problem(4, (8, 9), 4, 6, Window((3, 2), (2, 1), ((0, 2), (1, 0)), (1, 2)), 2)


def test_all_agree_in_float64(float64):
  check(PLAIN, jnp.float64, 1e-12)
  check(STRIDED, jnp.float64, 1e-12)


def test_all_agree_in_bfloat16():
  check(PLAIN, jnp.bfloat16, 1e-2)


@pytest.mark.parametrize('side', [2, 4])
def test_winograds_transforms_are_an_identity(side):
  """Of polynomials: outputs @ ((taps @ g) * (inputs @ d)) correlates d with g."""
  inputs, taps, outputs = winograd.matrices(side)
  g, d = np.eye(3), np.eye(side + 2)
  found = np.einsum('ap,pi,pj->aij', outputs, taps @ g, inputs @ d)
  expected = np.zeros((side, 3, side + 2))
  for a in range(side):
    for i in range(3):
      expected[a, i, a + i] = 1
  np.testing.assert_allclose(found, expected, atol=1e-14)


def test_winograd_is_accurate_over_many_channels():
  """2.4e-6 of the largest output at the points chosen; 1.0e-5 at the usual ones."""
  problem = Problem(4, (8, 8), 512, 16, Window((3, 3), (1, 1), ((1, 1), (1, 1))))
  x, kernel, dy = draw_arrays(problem, seed=1)
  y = winograd.forward(jnp.float32(x), jnp.float32(kernel), problem)
  expected, _, _ = reference(x, kernel, dy, problem)
  assert np.abs(y - expected).max() < 5e-6 * np.abs(expected).max()


def test_large_images_are_transformed_in_blocks():
  problem = Problem(2, (150, 70), 1, 2, Window((9, 5), (1, 1), ((4, 4), (2, 2))))
  check(problem, jnp.float32, 1e-5)


def test_a_batch_is_worked_on_in_chunks(monkeypatch):
  """What lies between input and output stays bounded, and the result is the same."""
  problem = Problem(6, (2, 2), 4, 4, Window((3, 3), (1, 1), ((1, 1), (1, 1))))
  by_every_algorithm.clear_cache()
  for name in ('winograd', 'im2col', 'fft'):
    monkeypatch.setattr(ALGORITHMS[name], '_CHUNK_BYTES', 2_000)
  check(problem, jnp.float32, 1e-5)
  by_every_algorithm.clear_cache()
