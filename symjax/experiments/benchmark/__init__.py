"""Speed, as a ratio against a named alternative measured in the same run."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from symjax.errors import UserError
from symjax.experiments.benchmark.conv import benchmark_conv, calibrate_into
from symjax.experiments.benchmark.input import benchmark_input
from symjax.experiments.benchmark.network import network_problems
from symjax.experiments.benchmark.optimizer import benchmark_optimizer
from symjax.experiments.benchmark.profile import benchmark_profile
from symjax.experiments.benchmark.train_step import benchmark_train_step
from symjax.experiments.provenance import provenance
from symjax.nn import CostTable


def run_benchmark(
  name: str,
  config: Mapping[str, Any],
  data_dir: str | None = None,
  manual_dir: str | None = None,
  costs: CostTable | None = None,
  calibrate: str | Path | None = None,
  of_config: bool = False,
) -> Iterator[dict[str, Any]]:
  """The records of a benchmark, with the commit, versions and hardware.

  Args:
    name: of the benchmark.
    config: of `input`, and of a calibration `of_config`.
    data_dir: where TFDS keeps its data sets.
    manual_dir: where files that were downloaded by hand lie.
    costs: by which `conv` and `train_step` choose algorithms; None is symjax's table.
    calibrate: file for a table of this machine's times, which `conv` then measures.
    of_config: whether it is to have the convolutions of the config's network as well.

  Raises:
    UserError: an unknown name, or a table for a benchmark that has no use for it.
  """

  def conv() -> Iterator[dict[str, Any]]:
    if not calibrate:
      return benchmark_conv(costs)
    own = network_problems(config, data_dir) if of_config else []
    return calibrate_into(Path(calibrate), own)

  benchmarks = {
    'conv': conv,
    'profile': benchmark_profile,
    'input': lambda: benchmark_input(config, data_dir, manual_dir),
    'optimizer': benchmark_optimizer,
    'train_step': lambda: benchmark_train_step(costs),
  }
  if name not in benchmarks:
    raise UserError(
      f'unknown benchmark {name!r}; choose from {", ".join(sorted(benchmarks))}'
    )
  if calibrate and name != 'conv':
    raise UserError(f'--calibrate goes with the benchmark conv, not with {name}')
  if costs is not None and name not in ('conv', 'train_step'):
    raise UserError(f'--cost_table goes with conv and train_step, not with {name}')
  for record in benchmarks[name]():
    yield record | provenance()


__all__ = ['run_benchmark']
