"""What the benchmarks measure, not how long it takes."""

import json

import jax
import pytest

from configs import camvid_fcn, camvid_segnet, digits_vgg
from symjax.errors import UserError
from symjax.experiments.benchmark import conv
from symjax.experiments.benchmark.network import network_problems
from symjax.nn.conv import read_cost_table
from symjax.nn.conv.costs import make_plan
from symjax.nn.conv.passes import PASSES


def problems_of(config, tmp_path):
  with jax.numpy_dtype_promotion('standard'):  # optax's schedules mix dtypes.
    return network_problems(config.to_dict(), str(tmp_path))


def test_the_problems_of_a_network_are_those_of_its_batches(tmp_path):
  """SegNet-Basic's stages on 90x120 pixels: five different 7x7 convolutions."""
  config = camvid_segnet.get_config('cpu')
  problems = problems_of(config, tmp_path)
  sizes = [(90, 120), (45, 60), (23, 30), (12, 15), (90, 120)]
  assert [problem.size for problem in problems] == sizes
  assert [problem.channels for problem in problems] == [3, 32, 32, 32, 32]
  assert {problem.batch for problem in problems} == {4}
  config.train.batch_size = 32
  config.train.microbatches = 2
  assert {problem.batch for problem in problems_of(config, tmp_path)} == {16}


def test_they_are_those_of_what_is_trained_on(tmp_path):
  """Of windows into the images, not of whole images as they are evaluated."""
  config = camvid_fcn.get_config('cpu')
  config.augmentation.crop = (66, 88)
  first, *_, last = problems_of(config, tmp_path)
  assert (first.batch, first.size, first.window.kernel) == (8, (66, 88), (7, 7))
  assert last.size == (9, 11)


def test_a_config_that_leaves_no_choice_is_refused(tmp_path):
  config = digits_vgg.get_config()
  config.model.algorithm = 'xla'
  with pytest.raises(UserError, match='algorithm=xla leaves nothing to calibrate for'):
    problems_of(config, tmp_path)


def test_a_border_that_is_no_zeros_is_part_of_the_map(tmp_path):
  """Then the convolution itself has none: so it is measured, and so looked up."""
  config = digits_vgg.get_config()
  config.model.padding = 'reflect'
  for problem in problems_of(config, tmp_path):
    assert problem.window.widths == ((0, 0), (0, 0))
    assert problem.size[0] in (34, 18, 10, 6)


def test_a_network_that_was_calibrated_for_goes_by_its_own_times(tmp_path, monkeypatch):
  """Of invented times: each pass of each problem has another fastest algorithm."""
  problems = problems_of(digits_vgg.get_config(), tmp_path)[1:3]
  asked = []

  def invent(measured):
    asked.extend(measured)
    rows = [
      conv.Measurement(name, problem, {'xla': 2.0, chosen: 1.0})
      for problem in measured
      for name, chosen in zip(PASSES, ('im2col', 'winograd', 'fft'), strict=True)
    ]
    return conv.CostTable('2 abaci', tuple(rows))

  monkeypatch.setattr(conv, 'calibrate', invent)
  monkeypatch.setattr(conv, 'random_problems', lambda count, seed: [])
  path = tmp_path / 'costs.json'
  [record] = conv.calibrate_into(path, problems)
  assert asked[:2] == problems and len(set(asked)) == len(asked)
  assert record['passes'] == 3 * len(asked)
  table = read_cost_table(path)
  assert json.loads(path.read_text()) == table.as_json()
  for problem in problems:
    plan = make_plan(problem, table)
    assert (plan.forward, plan.input_gradient) == ('im2col', 'winograd')
    assert plan.kernel_gradient == 'fft'
