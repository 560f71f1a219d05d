"""Losses and metrics of both tasks, against numpy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjax.training.tasks import TASKS, Classification, Counting

COUNTS = np.array([0, 0, 3, 3, 9, 5])
OUTPUTS = np.array([-0.75, 0.25, 3.0, 4.5, 2.0, 5.5])
BATCH = {'label': jnp.asarray(COUNTS, jnp.int32)}
LOGITS = jnp.asarray(OUTPUTS, jnp.float32)[:, None]


def test_the_loss_of_a_count_is_hubers():
  error = np.abs(OUTPUTS - COUNTS)
  expected = np.where(error <= 1, error**2 / 2, error - 0.5)
  np.testing.assert_allclose(Counting().losses(LOGITS, BATCH), expected, rtol=1e-6)


def test_no_count_pulls_harder_than_by_one():
  def total(logits):
    return Counting().losses(logits, BATCH).sum()

  gradient = np.asarray(jax.grad(total)(LOGITS))[:, 0]
  np.testing.assert_allclose(gradient, np.clip(OUTPUTS - COUNTS, -1, 1), rtol=1e-6)


def test_the_error_is_of_the_number_and_the_prediction_is_whole():
  task = Counting()
  [(name, error)] = task.scores(LOGITS, BATCH).items()
  assert f'test_{name}' == task.headline
  np.testing.assert_allclose(error, np.abs(OUTPUTS - COUNTS), rtol=1e-6)
  np.testing.assert_allclose(task.smooth_score(LOGITS, BATCH), OUTPUTS - COUNTS)
  found = task.predictions(LOGITS)
  assert found.dtype == jnp.int32
  np.testing.assert_array_equal(found, [0, 0, 3, 4, 2, 6])


def test_the_best_of_each_task_is_its_best():
  assert Counting().rank({'test_error': 0.5}) > Counting().rank({'test_error': 0.7})
  better, worse = ({'test_accuracy': share} for share in (0.9, 0.8))
  assert Classification().rank(better) > Classification().rank(worse)


def test_a_probability_is_the_softmax_of_the_label():
  logits = np.random.default_rng(0).normal(size=(6, 10))
  found = Classification().smooth_score(jnp.asarray(logits, jnp.float32), BATCH)
  shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
  np.testing.assert_allclose(found, shares[np.arange(6), COUNTS], rtol=1e-5)


@pytest.mark.parametrize('kind', TASKS)
def test_half_precision_is_widened(kind):
  task = TASKS[kind]()
  logits = jnp.ones((6, 10), jnp.bfloat16)
  for numbers in (task.losses(logits, BATCH), task.smooth_score(logits, BATCH)):
    assert (numbers.dtype, numbers.shape) == (jnp.float32, (6,))
