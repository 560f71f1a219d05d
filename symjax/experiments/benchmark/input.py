"""Whether training waits for its data."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax

from symjax import data
from symjax.experiments.benchmark.compare import compare
from symjax.experiments.data import load_splits
from symjax.experiments.setup import build_for
from symjax.training import devices

_INPUT_STEPS = 16


def benchmark_input(
  config: Mapping[str, Any], data_dir: str | None, manual_dir: str | None
) -> Iterator[dict[str, Any]]:
  """Training steps fed from data, against the same steps on a batch that is there.

  Args:
    config: plain values of an experiment.
    data_dir: where TFDS keeps its data sets; None is TFDS's own default.
    manual_dir: where files that were downloaded by hand lie.
  """
  dataset = load_splits(config['data'], data_dir, manual_dir).train
  setup = build_for(config, dataset)
  size = config['train']['batch_size']
  mesh = devices.make_mesh(size, microbatches=config['train']['microbatches'])
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
