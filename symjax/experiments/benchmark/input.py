"""Whether training waits for its data."""

import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import psutil
from jax.sharding import Mesh

from symjax import data
from symjax.data.streaming import loader_processes
from symjax.experiments.benchmark.compare import compare
from symjax.experiments.data import load_splits
from symjax.experiments.setup import Setup, build_for
from symjax.training import devices

_STEPS = 16
_EPOCHS = 3
_WARM_UP = 4  # Steps in which processes start and queues fill.
_MEBIBYTE = 2**20

# Takes batches until they end, and is done when the devices are.
Train = Callable[[Iterable[Any]], None]


def benchmark_input(
  config: Mapping[str, Any], data_dir: str | None, manual_dir: str | None
) -> Iterator[dict[str, Any]]:
  """Training steps fed from data, against the same steps on a batch that is there.

  Of a stream, also the share of the time of a step that it waits for its batch, the
  rate of the stream alone, and the memory of all processes after each of three epochs.

  Args:
    config: plain values of an experiment.
    data_dir: where TFDS keeps its data sets; None is TFDS's own default.
    manual_dir: where files that were downloaded by hand lie.
  """
  split = load_splits(config['data'], data_dir, manual_dir).train
  setup = build_for(config, split)
  size = config['train']['batch_size']
  mesh = devices.make_mesh(size, microbatches=config['train']['microbatches'])
  train = _trainer(setup, mesh)
  [first] = data.training_batches(split, size, config['seed'], 0, 1)
  resident = devices.place_batch(mesh, first)
  if isinstance(split, data.Stream):
    yield _stream(split, size, config['seed'], mesh, train, resident)
    return

  def feed() -> None:
    # Anew each time: a queue filled during the alternative's turn would be a gift.
    batches = data.training_batches(split, size, config['seed'], 0, _STEPS)
    with data.prefetch(batches, lambda b: devices.place_batch(mesh, b)) as placed:
      train(placed)

  yield compare(
    'input',
    feed,
    lambda: train(itertools.repeat(resident, _STEPS)),
    'the same steps on a resident batch',
    repeats=7,
  )


def _trainer(setup: Setup, mesh: Mesh) -> Train:
  step = devices.jit(setup.train_step, mesh, donate_state=True)
  state = jax.jit(setup.create_state, out_shardings=devices.replicated(mesh))()

  def train(batches: Iterable[Any]) -> None:
    nonlocal state
    for batch in batches:
      state, _ = step(state, batch)
    jax.block_until_ready(state)

  return train


def _stream(
  split: data.Stream, size: int, seed: int, mesh: Mesh, train: Train, resident: Any
) -> dict[str, Any]:
  """Three epochs, but no fewer steps than can be told from the warm-up."""
  epoch = math.ceil(len(split) / size)
  steps = max(_EPOCHS * epoch, 2 * _WARM_UP)
  train([resident])  # Compiles.
  own: list[float] = []
  for _ in range(_STEPS):
    own.append(_seconds(lambda: train([resident])))
  waits, whole, memory = [], [], []
  batches = data.training_batches(split, size, seed, 0, steps)
  with data.prefetch(batches, lambda b: devices.place_batch(mesh, b)) as placed:
    for step in range(1, steps + 1):
      began = time.perf_counter()
      batch = next(placed)
      waits.append(time.perf_counter() - began)
      train([batch])
      whole.append(time.perf_counter() - began)
      if step % epoch == 0:
        memory.append(_memory())
  waited, passed = sum(waits[_WARM_UP:]), sum(whole[_WARM_UP:])
  alone = _rate_alone(split, size, seed)
  return {
    'benchmark': 'input',
    'ratio': statistics.median(whole[_WARM_UP:]) / statistics.median(own),
    'against': 'the same steps on a resident batch',
    'wait_share': waited / passed,
    'images_per_second': size * len(whole[_WARM_UP:]) / passed,
    'images_per_second_of_the_stream_alone': alone,
    'mebibytes_after_each_epoch': memory,
    'examples': len(split),
    'batch_size': size,
    'steps': steps,
  }


def _rate_alone(split: data.Stream, size: int, seed: int) -> float:
  """Images per second of a stream whose batches nobody uses."""
  processes = loader_processes(split, slice(0, size))
  drained, steps = 4 * processes, 8 * processes  # What was ready beforehand is no rate.
  batches = data.training_batches(split, size, seed, 0, drained + steps)
  for _ in range(drained):
    next(batches)
  seconds = _seconds(lambda: [next(batches) for _ in range(steps)])
  batches.close()
  return size * steps / seconds


def _seconds(work: Callable[[], Any]) -> float:
  began = time.perf_counter()
  work()
  return time.perf_counter() - began


def _memory() -> float:
  """Of this process and those that it started; what they share counts several times."""
  process = psutil.Process()
  everyone = [process, *process.children(recursive=True)]
  return sum(one.memory_info().rss for one in everyone) / _MEBIBYTE
