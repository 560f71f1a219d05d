"""Speed, as a ratio against a named alternative measured in the same run."""

import itertools
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from symjax import data, symmetry
from symjax.errors import UserError
from symjax.experiments.data import load_splits
from symjax.experiments.provenance import provenance
from symjax.experiments.setup import build
from symjax.models import get_model
from symjax.training import devices

_INPUT_STEPS = 16


def compare(
  name: str,
  subject: Callable[[], Any],
  alternative: Callable[[], Any],
  against: str,
  repeats: int = 15,
) -> dict[str, Any]:
  """Times two functions in turn, after a run of each that is not counted.

  The machine's speed drifts, so the ratio is the median of the ratios of neighbours.

  Args:
    name: of the benchmark.
    subject: blocks until its work is done.
    alternative: likewise.
    against: what the alternative is, in words.
    repeats: pairs that are counted.

  Returns:
    The record that `run.benchmark` prints.
  """

  def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began

  subject()
  alternative()
  pairs = [(seconds(subject), seconds(alternative)) for _ in range(repeats)]
  ratios = sorted(one / other for one, other in pairs)
  return {
    'benchmark': name,
    'ratio': statistics.median(ratios),
    'ratio_quartiles': [ratios[repeats // 4], ratios[-1 - repeats // 4]],
    'against': against,
    'seconds': statistics.median(one for one, _ in pairs),
    'seconds_against': statistics.median(other for _, other in pairs),
    'repeats': repeats,
  }


def benchmark_profile() -> Iterator[dict[str, Any]]:
  """Mean kernels and scores of a full VGG-16, against one sum over its kernels."""
  model = get_model('vgg', 1000, depth=16)
  shapes = jax.eval_shape(
    model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
  )
  rng = np.random.default_rng(0)
  kernels = {
    name: jnp.asarray(rng.standard_normal(kernel.shape, np.float32))
    for name, kernel in symmetry.convolutions(shapes['params']).items()
  }
  scores = jax.jit(symmetry.mean_scores)
  total = jax.jit(lambda arrays: {name: array.sum() for name, array in arrays.items()})
  yield compare(
    'profile',
    lambda: jax.block_until_ready(scores(kernels)),
    lambda: jax.block_until_ready(total(kernels)),
    'one jitted sum over the same kernels',
  )


def benchmark_input(
  config: Mapping[str, Any], data_dir: str | None, manual_dir: str | None
) -> Iterator[dict[str, Any]]:
  """Training steps fed from data, against the same steps on a batch that is there.

  Args:
    config: plain values of an experiment.
    data_dir: where TFDS keeps its data sets; None is TFDS's own default.
    manual_dir: where files that were downloaded by hand lie.
  """
  dataset = load_splits(config['data'], data_dir, manual_dir)['train']
  shape = dataset.images.shape[1:]
  setup = build(config, shape, dataset.num_classes, len(dataset.images))
  size = config['train']['batch_size']
  mesh = devices.make_mesh(size)
  step = devices.jit(setup.train_step, mesh, donate_state=True)
  state = jax.jit(setup.create_state, out_shardings=devices.replicated(mesh))()

  def train(batches: Iterable[Any]) -> None:
    nonlocal state
    for batch in batches:
      state, _ = step(state, batch)
    jax.block_until_ready(state)

  def feed() -> None:
    # Anew each time: a queue filled during the alternative's turn would be a gift.
    batches = data.training_batches(dataset, size, config['seed'], 0, _INPUT_STEPS)
    with data.prefetch(batches, lambda b: devices.place_batch(mesh, b)) as placed:
      train(placed)

  [first] = data.training_batches(dataset, size, config['seed'], 0, 1)
  resident = devices.place_batch(mesh, first)
  yield compare(
    'input',
    feed,
    lambda: train(itertools.repeat(resident, _INPUT_STEPS)),
    'the same steps on a resident batch',
    repeats=7,
  )


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
  }
  if name not in benchmarks:
    raise UserError(
      f'unknown benchmark {name!r}; choose from {", ".join(sorted(benchmarks))}'
    )
  for record in benchmarks[name]():
    yield record | provenance()
