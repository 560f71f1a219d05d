"""The cost of measuring symmetry."""

from collections.abc import Iterator
from typing import Any

import jax

from symjax import symmetry
from symjax.experiments.benchmark.compare import compare
from symjax.experiments.benchmark.kernels import vgg_kernels


def benchmark_profile() -> Iterator[dict[str, Any]]:
  """Mean kernels and scores of a full VGG-16, against one sum over its kernels."""
  kernels = vgg_kernels(seed=0)
  scores = jax.jit(symmetry.mean_scores)
  total = jax.jit(lambda arrays: {name: array.sum() for name, array in arrays.items()})
  yield compare(
    'profile',
    lambda: jax.block_until_ready(scores(kernels)),
    lambda: jax.block_until_ready(total(kernels)),
    'one jitted sum over the same kernels',
  )
