"""Processes, devices, and where arrays live: one mesh, batches split over it."""

import functools
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from symjax.errors import UserError


def join_processes(
  coordinator_address: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
) -> None:
  """Makes this process one of several, before any device is touched.

  Without arguments the launcher's environment decides (a TPU pod, SLURM, Open MPI,
  Kubernetes); where there is none, this process stays alone.

  Args:
    coordinator_address: `host:port` of process 0.
    num_processes: in all.
    process_id: of this one, from 0.

  Raises:
    UserError: some but not all of the three are given, or the others cannot be met.
  """
  given = (coordinator_address, num_processes, process_id)
  if given != (None, None, None):
    if coordinator_address is None or num_processes is None or process_id is None:
      raise UserError(
        'give all of --coordinator_address, --num_processes and --process_id, or none'
      )
    if not 0 <= process_id < num_processes:
      raise UserError(f'--process_id={process_id} is not one of 0..{num_processes - 1}')
    if process_id > 0:
      _require_coordinator(coordinator_address)
    try:
      jax.distributed.initialize(coordinator_address, num_processes, process_id)
    except RuntimeError as error:
      reason = str(error).splitlines()[0]
      raise UserError(
        f'process {process_id} could not join {coordinator_address}: {reason}'
      ) from error
    return
  try:
    jax.distributed.initialize()
  except ValueError as error:
    # No launcher that JAX knows of: an ordinary single process, unless half of a
    # launch was given, which would leave many processes alone in one workdir.
    half = [name for name in os.environ if name.startswith('JAX_COORDINATOR')]
    if half:
      raise UserError(f'{half[0]} is set, but {error}; or unset it') from error


def _require_coordinator(address: str, patience: float = 60.0) -> None:
  """Waits until process 0 listens, because JAX would abort without a word to mend.

  Raises:
    UserError: the address is malformed, or nobody listens there.
  """
  host, _, port = address.rpartition(':')
  if not host or not port.isdigit():
    raise UserError(f'--coordinator_address={address} is not HOST:PORT')
  deadline = time.monotonic() + patience
  while True:
    try:
      socket.create_connection((host, int(port)), timeout=5).close()
      return
    except OSError as error:
      if time.monotonic() > deadline:
        raise UserError(
          f'nobody listens at {address} ({error.strerror or error}); start process 0 '
          'there'
        ) from error
    time.sleep(0.2)


def make_mesh(
  batch_size: int, devices: Sequence[Any] | None = None, microbatches: int = 1
) -> Mesh:
  """A one-dimensional mesh, axis `data`, of all devices of all processes.

  They are in the order of their processes, so that process i of n holds the i-th
  contiguous block of a batch: `jax.make_mesh` would follow the wires of a TPU slice.

  Args:
    batch_size: of the global batch.
    devices: of another machine, to compile for; None is those of this one.
    microbatches: parts of the batch, each of which lies on all devices.

  Raises:
    UserError: the global batch does not divide among them.
  """
  if microbatches < 1:
    raise UserError(f'train.microbatches={microbatches} must be 1 or more')
  devices = jax.devices() if devices is None else devices
  count = len(devices)
  parts = count * microbatches
  if batch_size % parts:
    among = f'{count} devices'
    if microbatches > 1:
      among = f'{microbatches} microbatches on {among}'
    raise UserError(
      f'a batch of {batch_size} does not divide among {among}; use a multiple of '
      f'{parts}, such as train.batch_size={-(-batch_size // parts) * parts}'
    )
  ordered = sorted(devices, key=lambda device: (device.process_index, device.id))
  return Mesh(np.array(ordered), ('data',), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
  """Every device holds the whole array."""
  return NamedSharding(mesh, PartitionSpec())


def split_batch(mesh: Mesh) -> NamedSharding:
  """Each device holds a contiguous block of the leading axis."""
  return NamedSharding(mesh, PartitionSpec('data'))


def jit(step: Callable[..., Any], mesh: Mesh, donate_state: bool) -> Callable[..., Any]:
  """Compiles (state, batch) -> results with the state whole and the batch split.

  Args:
    step: from `symjax.training.step`.
    mesh: from `make_mesh`.
    donate_state: whether the state's memory is reused for the new one.
  """

  @functools.wraps(step)
  def over_mesh(state: Any, batch: Any) -> Any:
    # For a step that has the devices do a part of it each for itself.
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
      return step(state, batch)

  return jax.jit(
    over_mesh,
    in_shardings=(replicated(mesh), split_batch(mesh)),
    out_shardings=replicated(mesh),
    donate_argnums=(0,) if donate_state else (),
  )


def place_batch(mesh: Mesh, batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
  """The global batch, of which this process holds `batch`, its contiguous block."""
  sharding = split_batch(mesh)
  return {
    name: jax.make_array_from_process_local_data(sharding, block)
    for name, block in batch.items()
  }
