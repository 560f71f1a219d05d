"""The choice among algorithms, from measured times."""

import dataclasses
import json

import pytest

from symjax.errors import UserError
from symjax.experiments.workdir import Workdir
from symjax.nn.conv import CostTable, read_cost_table
from symjax.nn.conv.costs import Measurement, make_plan, shipped
from symjax.nn.conv.passes import PASSES, Plan
from symjax.nn.conv.problem import Problem
from symjax.nn.window import Window

SMALL, LARGE = (
  Problem(256, (side, side), 32, 32, Window((3, 3), (1, 1), ((1, 1), (1, 1))))
  for side in (4, 32)
)


def table(small, large):
  """A table of two shapes, with the same times for every pass."""
  rows = [
    Measurement(name, problem, seconds)
    for problem, seconds in ((SMALL, small), (LARGE, large))
    for name in PASSES
  ]
  return CostTable('2 abaci', tuple(rows))


TABLE = table({'xla': 2e-3, 'im2col': 1e-3}, {'xla': 1e-2, 'im2col': 2e-2})


def test_the_fastest_is_chosen_where_it_was_measured():
  assert make_plan(SMALL, TABLE) == Plan('im2col', 'im2col', 'im2col')
  assert make_plan(LARGE, TABLE) == Plan('xla', 'xla', 'xla')


def test_a_measured_time_is_its_own_estimate():
  for problem in (SMALL, LARGE):
    for row in TABLE.measurements:
      if row.problem == problem:
        for algorithm, seconds in row.seconds.items():
          estimate = TABLE.estimate(row.name, algorithm, problem)
          assert estimate == seconds


def test_a_time_between_measured_ones_is_between_them():
  """The time of a multiplication is, on the way from the small map to the large one."""
  rates = [
    TABLE.estimate('forward', 'xla', problem) / problem.multiplications
    for side in range(4, 33, 4)
    for problem in [dataclasses.replace(SMALL, size=(side, side))]
  ]
  assert rates == sorted(rates, reverse=rates[0] > rates[-1])
  assert rates[0] != rates[-1]


def test_times_grow_with_the_batch():
  double = dataclasses.replace(SMALL, batch=512)
  once, twice = (TABLE.estimate('forward', 'xla', p) for p in (SMALL, double))
  assert 1.5 * once < twice < 3 * once


def test_what_was_not_measured_is_left_to_xla():
  groups = dataclasses.replace(SMALL, groups=2)
  window = dataclasses.replace(SMALL.window, dilation=(2, 2))
  for problem in (groups, dataclasses.replace(SMALL, window=window)):
    assert make_plan(problem, TABLE) == Plan('xla', 'xla', 'xla')


def test_where_nothing_is_to_be_gained_xla_is_the_quickest_to_compile():
  tiny = dataclasses.replace(SMALL, batch=1)
  assert make_plan(tiny, TABLE) == Plan('xla', 'xla', 'xla')


def test_an_algorithm_that_cannot_do_it_is_never_chosen():
  """Winograd's is the fastest by far of what was measured, at stride 1."""
  quick = table({'xla': 1.0, 'winograd': 1e-6}, {'xla': 1.0, 'winograd': 1e-6})
  window = dataclasses.replace(SMALL.window, stride=(2, 2))
  assert make_plan(SMALL, quick).forward == 'winograd'
  assert make_plan(dataclasses.replace(SMALL, window=window), quick).forward == 'xla'


def test_no_time_is_supposed_of_a_kernel_shorter_than_any_measured():
  """Of 1x7 taps the FFT may be known, and of 3x3, which are more, not for that."""
  wide = Window((1, 7), (1, 1), ((0, 0), (3, 3)))
  rows = [
    Measurement(name, dataclasses.replace(LARGE, window=wide), {'xla': 1.0, 'fft': 0.1})
    for name in PASSES
  ]
  known = CostTable('2 abaci', (*TABLE.measurements, *rows))
  assert known.estimate('forward', 'fft', LARGE) is None
  long = dataclasses.replace(LARGE, window=Window((9, 9)))
  assert known.estimate('forward', 'fft', long) > 0


def test_the_shipped_table_knows_the_shapes_that_xla_is_slow_at():
  """FACTS of XLA:CPU: maps of 2x2, and kernel gradients of large maps."""
  tiny = Problem(64, (2, 2), 512, 512, SMALL.window)
  wide = Problem(64, (32, 32), 64, 64, SMALL.window)
  assert make_plan(tiny, shipped()).forward != 'xla'
  assert make_plan(tiny, shipped()).input_gradient != 'xla'
  assert make_plan(wide, shipped()).kernel_gradient != 'xla'


def test_the_shipped_table_knows_where_the_fft_overtakes():
  """At 31x31 taps it is a hundred times as fast; at 3x3 or a large stride never."""
  large = Window((31, 31), (1, 1), ((15, 15), (15, 15)))
  problem = Problem(16, (48, 48), 8, 8, large)
  assert make_plan(problem, shipped()) == Plan('fft', 'fft', 'fft')
  stem = Window((11, 11), (4, 4), ((2, 2), (2, 2)))  # AlexNet's.
  plan = make_plan(Problem(16, (224, 224), 3, 64, stem), shipped())
  assert 'fft' not in dataclasses.astuple(plan)


def test_a_table_is_read_as_it_was_written(tmp_path):
  path = tmp_path / 'costs.json'
  path.write_text(json.dumps(TABLE.as_json()))
  again = read_cost_table(path)
  assert again.hardware == TABLE.hardware
  assert again.measurements == TABLE.measurements


def row_with(microseconds):
  """A table of one shape with these times."""
  row = TABLE.as_json()['measurements'][0] | {'microseconds': microseconds}
  return json.dumps({'hardware': '', 'measurements': [row]})


@pytest.mark.parametrize(
  'text',
  [
    None,
    'times',
    '[]',
    '{"hardware": "", "measurements": []}',
    row_with({'xla': 1.0}),
    row_with({'sideways': {'xla': 1.0}}),
    row_with({'forward': {'xla': -1.0}}),
    row_with({'forward': {'abacus': 1.0}}),
  ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, text):
  path = tmp_path / 'costs.json'
  if text is not None:
    path.write_text(text)
  with pytest.raises(UserError, match=r'costs.json holds no cost table .* --calibrate'):
    read_cost_table(path)


def test_a_run_goes_on_by_the_times_with_which_it_began(tmp_path):
  """Another calibration into the same file changes nothing for it."""
  path, folder = tmp_path / 'costs.json', Workdir(tmp_path / 'run')
  config = {'model': {'cost_table': str(path)}}
  path.write_text(json.dumps(TABLE.as_json()))
  with folder.locked():
    folder.claim(config, {}, folder.read_costs(config))
  path.write_text('gone')
  assert folder.read_costs(config).measurements == TABLE.measurements
  assert folder.read_costs({'model': {'cost_table': None}}) is None
