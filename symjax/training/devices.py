"""Processes, devices, and where arrays live: one mesh, batches split over it."""

from collections.abc import Callable, Mapping
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
  except ValueError:
    # No launcher that JAX knows of: an ordinary single process.
    return


def make_mesh(batch_size: int) -> Mesh:
  """A one-dimensional mesh, axis `data`, of all devices of all processes.

  Raises:
    UserError: the global batch does not divide among them.
  """
  devices = jax.device_count()
  if batch_size % devices:
    raise UserError(
      f'a batch of {batch_size} does not divide among {devices} devices; use a '
      f'multiple, such as train.batch_size={-(-batch_size // devices) * devices}'
    )
  return jax.make_mesh((devices,), ('data',), axis_types=(AxisType.Auto,))


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
  return jax.jit(
    step,
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
