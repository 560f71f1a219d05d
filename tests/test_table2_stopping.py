import pytest

from symjax.experiments.table2 import Protocol
from symjax.experiments.table2.stopping import reason_to_stop

PROTOCOL = Protocol()


def reason(validation, train=0.1, cost=0.1):
  """Of a run whose last numbers are `train` and `cost`."""
  epochs = len(validation)
  return reason_to_stop(PROTOCOL, [cost] * epochs, [train] * epochs, validation)


def falling(epochs):
  return [0.5 - 0.001 * epoch for epoch in range(epochs)]


@pytest.mark.parametrize('epochs', [1, 24])
def test_nothing_but_divergence_stops_a_run_before_25_epochs(epochs):
  rising = falling(epochs)[::-1]
  assert reason(rising, train=0.0) is None
  assert reason([0.3] * epochs) is None
  assert reason(falling(epochs), cost=None) == 'diverged'
  assert reason(falling(epochs), train=None) == 'diverged'
  assert reason([*falling(epochs)[:-1], None]) == 'diverged'


@pytest.mark.parametrize('epochs', [25, 26, 40, 59])
def test_each_rule_stops_alone(epochs):
  errors = falling(epochs)
  assert reason(errors) is None
  assert reason(errors, train=0.9e-5) == 'train error'
  assert reason(errors, train=1.1e-5) is None
  assert reason([*errors[:-1], errors[-6] + 1e-4]) == 'validation error'
  assert reason([*errors[:-1], errors[-6] - 1e-4]) is None
  assert reason([*errors[:-1], errors[-2]]) == 'no change'
  assert reason([*errors[:-1], errors[-2] - 1e-4]) is None


def test_no_run_goes_on_after_60_epochs():
  assert reason(falling(59)) is None
  assert reason(falling(60)) == 'last epoch'
