"""Speed, as a ratio against a named alternative measured in the same run."""

from collections.abc import Iterator, Mapping
from typing import Any

from symjax.errors import UserError
from symjax.experiments.benchmark.input import benchmark_input
from symjax.experiments.benchmark.optimizer import benchmark_optimizer
from symjax.experiments.benchmark.profile import benchmark_profile
from symjax.experiments.provenance import provenance


def run_benchmark(
  name: str,
  config: Mapping[str, Any],
  data_dir: str | None = None,
  manual_dir: str | None = None,
) -> Iterator[dict[str, Any]]:
  """The records of a benchmark, with the commit, versions and hardware.

  Raises:
    UserError: an unknown name.
  """
  benchmarks = {
    'profile': benchmark_profile,
    'input': lambda: benchmark_input(config, data_dir, manual_dir),
    'optimizer': benchmark_optimizer,
  }
  if name not in benchmarks:
    raise UserError(
      f'unknown benchmark {name!r}; choose from {", ".join(sorted(benchmarks))}'
    )
  for record in benchmarks[name]():
    yield record | provenance()


__all__ = ['run_benchmark']
