"""What a compiled step says of itself: memory, operations, traffic, least time."""

from collections.abc import Collection
from typing import Any

from symjax.experiments.compilation import hlo
from symjax.experiments.compilation.chips import Chip
from symjax.experiments.compilation.collectives import (
  bytes_sent,
  find_transfers,
  summarise,
)
from symjax.experiments.compilation.roofline import make_roofline


def describe_program(
  compiled: Any, chip: Chip, chips: int, normalized: Collection[str], turns: int = 1
) -> dict[str, Any]:
  """What a program needs of each chip.

  Args:
    compiled: the program, a `jax.stages.Compiled`.
    chip: that it is compiled for.
    chips: how many share the batch.
    normalized: paths of the modules with batch statistics.
    turns: of its one loop, over microbatches. The compiler counts what is in a loop
      once. Here all operations count as in the loop, and all bytes but those of
      arguments and outputs: outside of it there is little else than the update.

  Returns:
    `memory`: bytes of `arguments`, of `outputs`, of these those `reused` from
    arguments, of `temporaries` and of `code`, and the `peak`; `flops`;
    `bytes_accessed`; `bytes_sent`; `collectives`, as `summarise` has them; and
    `roofline`.
  """
  memory = compiled.memory_analysis()
  costs = compiled.cost_analysis()
  transfers = find_transfers(hlo.parse(compiled.as_text()), normalized, turns)
  sent = bytes_sent(transfers, chips)
  outside = memory.argument_size_in_bytes + memory.output_size_in_bytes
  flops = turns * costs['flops']
  accessed = costs['bytes accessed'] * turns - (turns - 1) * outside
  return {
    'memory': {
      'arguments': memory.argument_size_in_bytes,
      'outputs': memory.output_size_in_bytes,
      'reused': memory.alias_size_in_bytes,
      'temporaries': memory.temp_size_in_bytes,
      'code': memory.generated_code_size_in_bytes,
      'peak': peak_bytes(compiled),
    },
    'flops': flops,
    'bytes_accessed': accessed,
    'bytes_sent': sent,
    'collectives': summarise(transfers),
    'roofline': make_roofline(chip, flops, accessed, sent).as_json(),
  }


def peak_bytes(compiled: Any) -> int:
  """The most that a program holds in a chip's memory at once, and its code."""
  memory = compiled.memory_analysis()
  return memory.peak_memory_in_bytes + memory.generated_code_size_in_bytes
