"""A compiled program as text: its instructions, and where their values come from."""

import dataclasses
import math
import re
from collections.abc import Mapping

_BITS = re.compile(r'\d+')
_ARRAY = re.compile(r'([a-z]+\d*(?:e\d+m\d+\w*)?)\[([\d,]*)\]')
_COMPUTATION = re.compile(r'(?:ENTRY )?%?([\w.-]+) \(.*\{$')
_NAME = re.compile(r'%([\w.-]+)')
_OP_NAME = re.compile(r'op_name="([^"]*)"')
_INSTRUCTION = re.compile(r'\s+(ROOT )?%?([\w.-]+) = ')
_OPCODE = re.compile(r'\s*([\w-]+)\(')


@dataclasses.dataclass(frozen=True)
class Array:
  """What an array of a program is.

  Attributes:
    dtype: as HLO writes it, such as 'f32'.
    shape: its sides.
  """

  dtype: str
  shape: tuple[int, ...]

  @property
  def size(self) -> int:
    """How many numbers it holds."""
    return math.prod(self.shape)

  @property
  def nbytes(self) -> int:
    """Their bytes, without the padding of a layout."""
    bits = _BITS.search(self.dtype)
    return self.size * max(int(bits[0]) // 8, 1) if bits else self.size


@dataclasses.dataclass(frozen=True)
class Instruction:
  """One line of a program.

  Attributes:
    name: unique in the program.
    opcode: such as 'all-reduce'.
    results: one array, or those of a tuple.
    operands: names of instructions.
    attributes: the rest of the line.
  """

  name: str
  opcode: str
  results: tuple[Array, ...]
  operands: tuple[str, ...]
  attributes: str

  @property
  def op_name(self) -> str:
    """The path of the traced operation that it stems from; '' if that is not known."""
    found = _OP_NAME.search(self.attributes)
    return found[1] if found else ''


@dataclasses.dataclass(frozen=True)
class Program:
  """A compiled program.

  Attributes:
    instructions: by name, of all its computations.
    roots: computation -> the name of the instruction that gives its result.
  """

  instructions: Mapping[str, Instruction]
  roots: Mapping[str, str]

  def origin(self, name: str, index: int = 0) -> str:
    """The path of the traced operation that a value stems from; '' if not known.

    The compiler gives a fusion of many operations the path of one of them, and joins
    collectives under the path of one: so this goes back to what computes the value.

    Args:
      name: of an instruction.
      index: of the value among its results.
    """
    found = self.instructions[name]
    inner = ''
    if found.opcode == 'get-tuple-element':
      place = re.search(r'index=(\d+)', found.attributes)
      inner = self.origin(found.operands[0], int(place[1]) if place else 0)
    elif found.opcode == 'tuple' and found.operands:
      inner = self.origin(found.operands[index])
    elif found.opcode == 'fusion':
      called = re.search(r'calls=%?([\w.-]+)', found.attributes)
      if called and called[1] in self.roots:
        inner = self.origin(self.roots[called[1]], index)
    if inner or found.op_name or not found.operands:
      return inner or found.op_name
    # What the compiler put in by itself, copies for the most part, has no path.
    return self.origin(found.operands[0], index)


def parse(text: str) -> Program:
  """The program in what `jax.stages.Compiled.as_text` returns."""
  instructions, roots = {}, {}
  computation = ''
  for line in text.splitlines():
    head = _COMPUTATION.match(line)
    if head:
      computation = head[1]
      continue
    start = _INSTRUCTION.match(line)
    if not start:
      continue
    is_root, name = start[1], start[2]
    end = _end_of_type(line, start.end())
    opcode = _OPCODE.match(line, end)
    if not opcode:
      continue
    close = _closing(line, opcode.end() - 1)
    instructions[name] = Instruction(
      name,
      opcode[1],
      tuple(
        Array(dtype, tuple(int(side) for side in sides.split(',') if side))
        for dtype, sides in _ARRAY.findall(line[start.end() : end])
      ),
      tuple(_NAME.findall(line[opcode.end() : close])),
      line[close + 1 :],
    )
    if is_root:
      roots[computation] = name
  return Program(instructions, roots)


def _end_of_type(line: str, start: int) -> int:
  """Where the type that begins at `start` ends: a tuple's contains spaces."""
  if line[start] == '(':
    return _closing(line, start) + 1
  end = line.find(' ', start)
  return len(line) if end < 0 else end


def _closing(line: str, start: int) -> int:
  """The place of the parenthesis that closes the one at `start`."""
  depth = 0
  for place in range(start, len(line)):
    if line[place] == '(':
      depth += 1
    elif line[place] == ')':
      depth -= 1
      if depth == 0:
        return place
  return len(line)
