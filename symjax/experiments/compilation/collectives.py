"""What the chips of a compiled step tell each other, and what for."""

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from symjax.experiments.compilation.hlo import Array, Program
from symjax.training.microbatches import REDUCTION

KINDS = (
  'all-reduce',
  'all-gather',
  'all-to-all',
  'collective-broadcast',
  'collective-permute',
  'ragged-all-to-all',
  'reduce-scatter',
)
# In the order of a report.
PURPOSES = (
  'gradients',
  'batch statistics',
  'batch statistics, backward',
  'metrics',
  'other',
)


@dataclasses.dataclass(frozen=True)
class Transfer:
  """One array that goes through a collective; the compiler joins many in one.

  Attributes:
    collective: the name of the instruction.
    kind: one of `KINDS`.
    array: a chip's own operand.
    origin: the path of the traced operation that computes it.
    purpose: one of `PURPOSES`.
    times: how often it is sent in a step.
  """

  collective: str
  kind: str
  array: Array
  origin: str
  purpose: str
  times: int = 1


def find_transfers(
  program: Program, normalized: Collection[str], turns: int = 1
) -> list[Transfer]:
  """All that a program sends between chips.

  Args:
    program: a compiled step.
    normalized: paths of the modules with batch statistics, as `layer1_0/bn1`.
    turns: of the loop over microbatches.
  """
  found = []
  for instruction in program.instructions.values():
    kind = instruction.opcode.removesuffix('-start')
    if kind not in KINDS:
      continue
    path = instruction.op_name.split('/')
    times = turns if 'while' in path else 1
    for operand in instruction.operands:
      array = program.instructions[operand].results[0]
      origin = program.origin(operand) or instruction.op_name
      if REDUCTION in path:  # What a loop gave does not say what it is.
        purpose = 'gradients' if array.shape else 'metrics'
      else:
        purpose = purpose_of(origin, array, normalized)
      found.append(Transfer(instruction.name, kind, array, origin, purpose, times))
  return found


def purpose_of(origin: str, array: Array, normalized: Collection[str]) -> str:
  """What is sent, by the operation that computes it; one of `PURPOSES`.

  The statistics of BatchNorm are sums over the batch in the forward pass. In the
  backward pass the gradients of its scale and bias are sums over the batch as well,
  and the same sums are part of the gradient of its input: they are told apart from the
  gradients of all other parameters, and not from each other.

  Args:
    origin: path of the operation, as JAX writes it: `jit(step)/transpose(jvp(VGG))/...`
      in the backward pass.
    array: a chip's own operand.
    normalized: paths of the modules with batch statistics.
  """
  if array.shape == ():
    return 'metrics'
  parts = [part for part in origin.split('/') if not set(part) & set('().')]
  path = f'/{"/".join(parts)}/'
  backward = 'transpose(' in origin
  if any(f'/{module}/' in path for module in normalized):
    return 'batch statistics, backward' if backward else 'batch statistics'
  return 'gradients' if backward else 'other'


def summarise(transfers: Sequence[Transfer]) -> list[dict[str, Any]]:
  """A row for each kind, purpose and type of number.

  Returns:
    Rows of `purpose`, `kind`, `dtype`; `collectives`: how many instructions carry such
    arrays; `arrays`; `numbers` and `bytes`: of a chip's own operands in a step.
  """
  groups: dict[tuple[str, str, str], list[Transfer]] = {}
  for transfer in sorted(transfers, key=lambda t: PURPOSES.index(t.purpose)):
    key = (transfer.purpose, transfer.kind, transfer.array.dtype)
    groups.setdefault(key, []).append(transfer)
  return [
    {
      'purpose': purpose,
      'kind': kind,
      'dtype': dtype,
      'collectives': len({transfer.collective for transfer in group}),
      'arrays': len(group),
      'numbers': sum(transfer.times * transfer.array.size for transfer in group),
      'bytes': sum(transfer.times * transfer.array.nbytes for transfer in group),
    }
    for (purpose, kind, dtype), group in groups.items()
  ]


def bytes_sent(transfers: Iterable[Transfer], chips: int) -> float:
  """Bytes that each of so many chips sends at least.

  A sum over n chips whose result all of them get takes 2 (n - 1) / n of the array, a
  sum whose parts they share (n - 1) / n, and all parts of an array (n - 1) times the
  part that a chip has; what goes to one other chip counts whole.
  """
  others = chips - 1
  factors = {
    'all-reduce': 2 * others / chips,
    'all-gather': float(others),
    'all-to-all': others / chips,
    'reduce-scatter': others / chips,
  }
  return sum(t.times * factors.get(t.kind, 1.0) * t.array.nbytes for t in transfers)
