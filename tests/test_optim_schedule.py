import numpy as np
import pytest

from symjax.errors import UserError
from symjax.optim import make_schedule


def test_warm_up_is_linear_and_cosine_ends_at_zero():
  schedule = make_schedule(0.4, 100, 10.0, 'cosine', warmup_epochs=2.0)
  np.testing.assert_allclose(
    [schedule(step) for step in range(20)], 0.4 * np.arange(1, 21) / 20, rtol=1e-6
  )
  expected = 0.2 * (1 + np.cos(np.pi * np.arange(80) / 80))
  rates = [schedule(step) for step in range(20, 100)]
  np.testing.assert_allclose(rates, expected, rtol=1e-5, atol=1e-7)
  assert schedule(100) == pytest.approx(0, abs=1e-7)


def test_steps_fall_at_their_epochs_with_warm_up_or_without():
  for warmup in (0.0, 1.0):
    schedule = make_schedule(1.0, 100, 2.5, 'step', warmup, (10, 20.0), 0.1)
    rates = [float(schedule(step)) for step in (24, 26, 49, 51)]
    np.testing.assert_allclose(rates, [1, 0.1, 0.1, 0.01], rtol=1e-6)


def test_poly_is_a_power_of_what_is_left():
  """torchvision's factor at step k of n: ((n - k) / n) ** 0.9, behind the warm-up."""
  schedule = make_schedule(0.02, 110, 10.0, 'poly', warmup_epochs=1.0)
  found = [float(schedule(10 + step)) for step in range(101)]
  expected = 0.02 * (1 - np.arange(101) / 100) ** 0.9
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


def test_constant():
  schedule = make_schedule(0.3, 10, 5.0, 'constant')
  assert {schedule(step) for step in range(10)} == {0.3}


@pytest.mark.parametrize(
  'options, message',
  [
    (
      dict(name='cosin'),
      "unknown schedule 'cosin'; choose from constant, cosine, poly, step",
    ),
    (dict(warmup_epochs=10.0), 'warmup_epochs=10.0 is 100 steps of 100'),
    (
      dict(name='step', warmup_epochs=5.0, decay_epochs=(4,)),
      'before the warm-up ends',
    ),
  ],
)
def test_mistakes_are_named(options, message):
  with pytest.raises(UserError, match=message):
    make_schedule(0.1, 100, 10.0, **options)
