"""The starts of published networks, by their moments."""

import numpy as np
import pytest

from symjax.nn.initializers import (
  he_normal_fan_in,
  he_normal_fan_out,
  uniform_fan_in,
)


@pytest.mark.parametrize(
  'initializer, fan', [(he_normal_fan_in, 9 * 16), (he_normal_fan_out, 9 * 64)]
)
def test_hes_starts_are_normal_and_not_truncated(key, initializer, fan):
  """PyTorch's are not: the fourth moment of a truncated normal is far below 3."""
  drawn = np.asarray(initializer(key, (3, 3, 16, 64))).ravel() * np.sqrt(fan / 2)
  assert drawn.std() == pytest.approx(1, rel=0.02)
  assert (drawn**4).mean() == pytest.approx(3, rel=0.1)


def test_pytorchs_default_is_uniform_by_the_fan_of_the_inputs(key):
  drawn = np.asarray(uniform_fan_in(25)(key, (4096,)))
  assert 0.99 * 0.2 < np.abs(drawn).max() <= 0.2
  assert drawn.mean() == pytest.approx(0, abs=0.01)
  assert drawn.std() == pytest.approx(0.2 / np.sqrt(3), rel=0.03)
