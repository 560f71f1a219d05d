"""A TPU slice without the TPU: its chips, to compile for."""

import dataclasses
import importlib.metadata
import importlib.util
import os
from collections.abc import Sequence
from typing import Any

import jax
from jax.experimental import topologies

from symjax.errors import UserError
from symjax.experiments.compilation.chips import CHIPS, Chip

# libtpu looks for a machine around it, and narrates; it guards the chips that there
# might be by a lock, and here touches none.
_ENVIRONMENT = {
  'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
  'TPU_SKIP_MDS_QUERY': '1',
  'TPU_ACCELERATOR_TYPE': 'v5litepod-8',
  'TPU_WORKER_HOSTNAMES': 'localhost',
  'TPU_MIN_LOG_LEVEL': '3',
  'TPU_STDERR_LOG_LEVEL': '3',
  'TF_CPP_MIN_LOG_LEVEL': '3',
}


@dataclasses.dataclass(frozen=True)
class Slice:
  """Chips that work together.

  Attributes:
    chip: of each.
    devices: one a chip; they can be compiled for, and nothing else.
    compiler: its name and version.
  """

  chip: Chip
  devices: Sequence[Any]
  compiler: str


def find_slice(topology: str) -> Slice:
  """A slice by its name.

  Args:
    topology: such as 'v5e:16x16'.

  Raises:
    UserError: there is no such slice, or libtpu is not installed or does not load.
  """
  kind, _, shape = topology.partition(':')
  if kind not in CHIPS:
    raise UserError(
      f'--topology={topology}: give CHIP:SHAPE, such as v5e:16x16, with a chip of '
      f'{", ".join(CHIPS)}'
    )
  chip = CHIPS[kind]
  if shape not in chip.slices:
    raise UserError(
      f'--topology={topology}: there is no such slice of {kind}; choose from '
      f'{", ".join(chip.slices)}'
    )
  if importlib.util.find_spec('libtpu') is None:
    raise UserError(
      "the compiler of TPUs, libtpu, is not installed: pip install 'symjax[tpu-"
      "compile]' (from a clone: pip install -e '.[tpu-compile]')"
    )
  for name, value in _ENVIRONMENT.items():
    os.environ.setdefault(name, value)
  try:
    described = topologies.get_topology_desc(platform='tpu', topology_name=topology)
  except jax.errors.JaxRuntimeError as error:
    reason = ' '.join(str(error).split())
    raise UserError(f'libtpu cannot describe {topology}: {reason}') from error
  compiler = f'libtpu {importlib.metadata.version("libtpu")}'
  return Slice(chip, described.devices, compiler)
