"""Where the FFT gets faster than the direct sum."""

import json

import pytest

from symjax.experiments import crossover as room
from symjax.experiments.crossover import Setting, crossover, crossover_table


def points(times):
  """Measured points: kernel size -> (direct, FFT) seconds."""
  return [
    {'kernel': kernel, 'direct_seconds': direct, 'fft_seconds': fft}
    for kernel, (direct, fft) in times.items()
  ]


def test_the_crossing_of_power_laws_is_exact():
  """Direct time k^2, FFT time 50: equal at the root of 50, between two sizes or not."""
  times = {k: (k**2, 50.0) for k in (3, 5, 9, 15)}
  assert room._crossing(points(times)) == pytest.approx(50**0.5)


def test_a_win_that_does_not_last_is_none():
  times = {3: (1.0, 2.0), 5: (3.0, 2.0), 7: (1.0, 4.0), 9: (4.0, 1.0), 11: (9.0, 1.0)}
  assert room._crossing(points(times)) == pytest.approx((7 * 9) ** 0.5)


def test_never_and_always():
  assert room._crossing(points({3: (1.0, 2.0), 5: (1.0, 2.0)})) is None
  assert room._crossing(points({3: (2.0, 1.0), 5: (2.0, 1.0)})) == 0


def test_a_run_leaves_its_times_a_figure_and_a_table(tmp_path, monkeypatch):
  monkeypatch.setattr('symjax.experiments.benchmark.calibration._SECONDS', 0.0)
  settings = [Setting(2, 8, 1, 1), Setting(1, 32, 2, 1)]
  out = tmp_path / 'not' / 'there yet'
  record = crossover(out, settings, {1: (3, 63), 2: (3,)})
  assert json.loads((out / 'crossover.json').read_text()) == record
  assert (out / 'figures' / 'crossover.png').exists()
  # A kernel longer than the signal is not tried.
  assert [(p['dimensions'], p['kernel']) for p in record['points']] == [(2, 3), (1, 3)]
  assert all(p['direct_seconds'] > 0 < p['fft_seconds'] for p in record['points'])
  table = crossover_table(record)
  assert [row[0] for row in table] == [
    '2-D, n =', '1 channel, batch 1', '1-D, n =', '2 channels, batch 1'
  ]  # fmt: skip
  assert {row[1] for row in table[1::2]} <= {'always', 'never'}
