"""The steps of a config, compiled for a TPU slice, and what their programs say."""

import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from symjax import records
from symjax.errors import UserError
from symjax.experiments.compilation.largest_batch import find_largest_batch
from symjax.experiments.compilation.program import describe_program, peak_bytes
from symjax.experiments.compilation.steps import make_steps
from symjax.experiments.compilation.topology import find_slice
from symjax.experiments.data import blank_split
from symjax.experiments.provenance import provenance
from symjax.experiments.setup import build_for, precision
from symjax.experiments.workdir import Workdir
from symjax.nn.conv import read_cost_table
from symjax.training import devices

Compile = Callable[[int], jax.stages.Compiled | None]


def compile_config(
  config: Mapping[str, Any],
  topology: str,
  out: str | Path,
  compilations: int,
  data_dir: str | None = None,
  command: str | None = None,
) -> dict[str, Any]:
  """Compiles the steps of a config for a TPU slice: writes `compile.json`.

  They are the steps that `train` jits, over the mesh that it would make there. Neither
  a TPU nor the data are needed.

  Args:
    config: plain values, with the groups of `configs/base.py`.
    topology: of the slice, such as 'v5e:16x16'.
    out: folder to write to, made if need be.
    compilations: the most that the search for the largest batch may take.
    data_dir: where TFDS keeps its data sets; None is TFDS's own default.
    command: that was given, for the record.

  Returns:
    What `compile.json` holds: `topology`; `chips`, how many; `chip`, as in `CHIPS`;
    `model`, `dtype`, `image_shape`, `batch_size`, `microbatches`; `parameters`:
    numbers in all, and `normalization_parameters`: those of modules with batch
    statistics; `train` and `eval`: what `describe_program` returns, with `batch_size`
    and `compile_seconds`, or null where the batch does not fit; `largest_batch`, as
    `LargestBatch` has it; `command`; `compiler`; and where all comes from.

  Raises:
    UserError: a config that makes no experiment, or a slice that does not exist.
  """
  if compilations < 0:
    raise UserError(f'--compilations={compilations}; give 0 or more')
  found = find_slice(topology)
  chip, chips = found.chip, len(found.devices)
  batch_size, parts = config['train']['batch_size'], config['train']['microbatches']
  mesh = devices.make_mesh(batch_size, found.devices, parts)
  origin = provenance()  # Of the code that compiles: the tree may change meanwhile.
  with precision(config):
    blank = blank_split(config['data'], data_dir)
    path = config['model']['cost_table']
    costs = None if path is None else read_cost_table(path)
    setup = build_for(choose_as_tpu(config), blank, costs)
    steps = make_steps(setup, mesh, blank)

    described: dict[str, dict[str, Any] | None] = {}
    for name, compile_step, size, turns in (
      ('train', steps.compile_train, batch_size, parts),
      ('eval', steps.compile_eval, setup.microbatch_size, 1),
    ):
      compiled, seconds = _timed(compile_step, name, size)
      described[name] = None
      if compiled:
        described[name] = {
          'batch_size': size,
          **describe_program(compiled, chip, chips, steps.normalized, turns),
          'compile_seconds': seconds,
        }

    def peak(share: int) -> int | None:
      compiled, _ = _timed(steps.compile_train, 'train', share * chips * parts)
      return peak_bytes(compiled) if compiled else None

    train = described['train']
    search = functools.partial(
      find_largest_batch,
      peak,
      batch_size // (chips * parts),
      train['memory']['peak'] if train else None,
      chip.hbm_bytes,
    )
    record = {
      'topology': topology,
      'chips': chips,
      'chip': dataclasses.asdict(chip) | {'slices': list(chip.slices)},
      'model': config['model']['name'],
      'dtype': config['model']['dtype'],
      'image_shape': list(setup.image_shape),
      'batch_size': batch_size,
      'microbatches': parts,
      'parameters': steps.parameters,
      'normalization_parameters': steps.normalization_parameters,
      **described,
      'largest_batch': search(0).as_json(chips, parts),
      'command': command,
      'compiler': found.compiler,
      **origin,
    }
    folder = Workdir(Path(out))
    folder.path.mkdir(parents=True, exist_ok=True)
    records.write_json(folder.compilation, record)
    if compilations:  # They may take long: what is known is there to read meanwhile.
      record['largest_batch'] = search(compilations).as_json(chips, parts)
      records.write_json(folder.compilation, record)
  return record


def choose_as_tpu(config: Mapping[str, Any]) -> dict[str, Any]:
  """The config with the algorithm of convolutions that 'auto' is on a TPU.

  It goes by the device at hand, which is not the one that is compiled for.
  """
  model = config['model']
  if model['algorithm'] == 'auto' and model['cost_table'] is None:
    model = {**model, 'algorithm': 'xla'}
  return {**config, 'model': model}


def _timed(
  compile_step: Compile, name: str, batch_size: int
) -> tuple[jax.stages.Compiled | None, float]:
  """A step compiled, and the seconds it took; tells of it, for it takes minutes."""
  began = time.monotonic()
  compiled = compile_step(batch_size)
  seconds = time.monotonic() - began
  fits = '' if compiled else ': it does not fit'
  print(
    f'compiled the {name} step of a batch of {batch_size} in {seconds:.0f} s{fits}',
    file=sys.stderr,
    flush=True,
  )
  return compiled, seconds
