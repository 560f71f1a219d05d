"""How long the algorithms of convolution take on this machine."""

import ctypes
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np

from symjax.experiments.provenance import provenance
from symjax.nn.conv.costs import CostTable, Measurement
from symjax.nn.conv.passes import ALGORITHMS, PASSES
from symjax.nn.conv.problem import Problem
from symjax.nn.window import Window
from symjax.progress import progress

_BATCHES = (4, 8, 16, 32, 64, 128)
_LARGEST_SIDE = 96  # Sides of maps are uniform in their logarithm up to here.
_CHANNELS = (1, 3, 8, 16, 32, 64, 128, 256, 512)
_KERNELS = (1, 3, 3, 3, 3, 5, 7)
_STRIDES = (1, 1, 1, 2)
_MULTIPLICATIONS = (2e7, 2.5e9)  # Fewer are left to XLA, more take too long.
_SECONDS = 0.1  # For the repetitions of one time.
_HOPELESS = 4  # Times as slow as the best so far: one repetition will do.
_SMALLEST_FFT = 5  # Taps.


# Of glibc's mallopt: how many blocks may be mapped by themselves, and how much memory
# may lie idle before it goes back to the system.
_MMAP_MAX, _TRIM_THRESHOLD = -4, -1


def keep_freed_memory() -> None:
  """Has this process reuse the memory of large arrays, where its C library is glibc.

  glibc maps blocks of more than 32 MiB anew each time, and the system then fills them
  with zeros page by page, which takes longer than many a convolution. In a training
  step all intermediate results share one block, so this is no part of their time.
  """
  library = ctypes.CDLL(None)
  if hasattr(library, 'mallopt'):
    library.mallopt(_MMAP_MAX, 0)
    library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def calibrate(problems: Sequence[Problem]) -> CostTable:
  """The times of all three passes of `problems` on this machine, float32."""
  keep_freed_memory()
  measurements = [
    measurement
    for problem in progress(problems, 'timing convolutions')
    for measurement in measure(problem)
  ]
  return CostTable(provenance()['hardware'], tuple(measurements))


def random_problems(count: int, seed: int) -> list[Problem]:
  """Convolutions of square maps as networks have them, drawn at random.

  The border keeps the map's size at stride 1.
  """
  rng = np.random.default_rng(seed)
  problems: list[Problem] = []
  while len(problems) < count:
    side = round(math.exp(rng.uniform(0, math.log(_LARGEST_SIDE))))
    taps, stride = (int(rng.choice(values)) for values in (_KERNELS, _STRIDES))
    batch, channels, features = (
      int(rng.choice(values)) for values in (_BATCHES, _CHANNELS, _CHANNELS[3:])
    )
    problem = make_problem(batch, side, channels, features, taps, stride)
    low, high = _MULTIPLICATIONS
    if taps <= 2 * side + 1 and low <= problem.multiplications <= high:
      problems.append(problem)
  return problems


def vgg_problems(batch: int) -> list[Problem]:
  """The convolutions of VGG-16 on 32x32 images that differ from one another."""
  layers = (
    (32, 3, 64), (32, 64, 64), (16, 64, 128), (16, 128, 128), (8, 128, 256),
    (8, 256, 256), (4, 256, 512), (4, 512, 512), (2, 512, 512),
  )  # fmt: skip
  return [make_problem(batch, *layer, 3, 1) for layer in layers]


def resnet_problems(batch: int) -> list[Problem]:
  """Those of a ResNet-18's stages on 32x32 images: at stride 1, at 2, and shortcuts."""
  stages = ((8, 64), (4, 128), (2, 256), (1, 512))
  problems = [make_problem(batch, side, width, width, 3, 1) for side, width in stages]
  for side, width in stages[:-1]:
    problems.append(make_problem(batch, side, width, 2 * width, 3, 2))
    problems.append(make_problem(batch, side, width, 2 * width, 1, 2))
  return problems


def large_kernel_problems() -> list[Problem]:
  """Kernels of 9 taps and more, where the FFT comes in; AlexNet's first among them."""
  shapes = (
    (16, 32, 16, 16, 9, 1), (64, 16, 16, 32, 9, 1), (16, 32, 16, 16, 11, 1),
    (8, 64, 3, 64, 11, 2), (32, 64, 3, 64, 11, 4), (16, 32, 16, 16, 15, 1),
    (8, 64, 3, 16, 15, 1), (8, 32, 8, 8, 31, 1), (4, 64, 4, 8, 31, 1),
  )  # fmt: skip
  return [make_problem(*shape) for shape in shapes]


def make_problem(
  batch: int, side: int, channels: int, features: int, taps: int, stride: int
) -> Problem:
  """A convolution of square maps that keeps their size at stride 1; `taps` is odd."""
  margin = (taps // 2, taps // 2)
  window = Window((taps, taps), (stride, stride), (margin, margin))
  return Problem(batch, (side, side), channels, features, window)


def measure(problem: Problem) -> Iterator[Measurement]:
  """The times of the three passes, by all algorithms that can do them."""
  arguments = {name: draw_arguments(problem, name) for name in PASSES}
  passes = [
    (name, algorithm)
    for name in PASSES
    for algorithm, module in ALGORITHMS.items()
    if module.supports(problem) and not _hopeless(algorithm, problem)
  ]
  # Most of the time goes into compiling, which a core does by itself.
  with ThreadPoolExecutor(os.cpu_count()) as pool:
    compiled = pool.map(
      lambda key: compile_pass(problem, key[0], key[1], arguments[key[0]]), passes
    )
  seconds: dict[str, dict[str, float]] = {name: {} for name in PASSES}
  for (name, algorithm), work in zip(passes, compiled, strict=True):
    best = min(seconds[name].values(), default=math.inf)
    seconds[name][algorithm] = shortest_time(work, best)
  for name in PASSES:
    yield Measurement(name, problem, seconds[name])


def _hopeless(algorithm: str, problem: Problem) -> bool:
  """Whether not even one measurement is worth its while."""
  return algorithm == 'fft' and max(problem.window.kernel) < _SMALLEST_FFT


def draw_arguments(problem: Problem, name: str) -> tuple[jax.Array, jax.Array]:
  """What a pass takes, float32, Gaussian."""
  rng = np.random.default_rng(0)
  channels = problem.channels // problem.groups
  shapes = {
    'x': (problem.batch, *problem.size, problem.channels),
    'dy': (problem.batch, *problem.output_size, problem.features),
    'kernel': (*problem.window.kernel, channels, problem.features),
  }
  names = {
    'forward': ('x', 'kernel'),
    'input_gradient': ('dy', 'kernel'),
    'kernel_gradient': ('x', 'dy'),
  }[name]
  one, other = (
    jnp.asarray(rng.standard_normal(shapes[name], np.float32)) for name in names
  )
  return one, other


def compile_pass(
  problem: Problem,
  name: str,
  algorithm: str,
  arguments: tuple[jax.Array, jax.Array],
) -> Callable[[], jax.Array]:
  """A function that runs a pass by an algorithm, compiled."""
  work = getattr(ALGORITHMS[algorithm], name)
  compiled = jax.jit(lambda a, b: work(a, b, problem)).lower(*arguments).compile()
  return lambda: compiled(*arguments)


def shortest_time(work: Callable[[], jax.Array], best: float) -> float:
  """Seconds that a function takes.

  The shortest of repeated times, because what others do to the machine only adds. One
  repetition has to do where `best` seconds, those of another algorithm, are out of
  reach.
  """
  jax.block_until_ready(work())
  times: list[float] = []
  while not times or (sum(times) < _SECONDS and min(times) < _HOPELESS * best):
    began = time.perf_counter()
    jax.block_until_ready(work())
    times.append(time.perf_counter() - began)
  return min(times)
