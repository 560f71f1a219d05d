"""A network to be measured, with its data: of a run, of a file, or before training."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from symjax.checkpoints import load_into
from symjax.data import Dataset
from symjax.experiments.data import load_splits
from symjax.experiments.setup import Setup, build_for, precision
from symjax.experiments.workdir import Workdir


@dataclasses.dataclass(frozen=True)
class Subject:
  """What is measured.

  Attributes:
    config: plain values, with the groups of `configs/base.py`.
    setup: made of it.
    variables: what the network's `apply` takes, on one device.
    test: the split to measure on.
    step: updates done; None where nobody counted them.
    name: in words, for captions.
    folders: `data_dir` and `manual_dir`, from where the data came.
  """

  config: Mapping[str, Any]
  setup: Setup
  variables: Any
  test: Dataset
  step: int | None
  name: str
  folders: tuple[str | None, str | None]

  def images(self, count: int) -> jax.Array:
    """The first test images as the network sees them, as many as there are."""
    return self.setup.normalization(jnp.asarray(self.test.images[:count]))


@contextlib.contextmanager
def subject_of_run(
  workdir: str | Path, data_dir: str | None = None, manual_dir: str | None = None
) -> Iterator[Subject]:
  """The newest checkpoint of a run, finished or not.

  It is a context because a float64 network needs one to be computed in.

  Raises:
    UserError: the folder holds no run or no checkpoint, or its data cannot be had.
  """
  folder = Workdir(Path(workdir))
  config = folder.read_config()
  with precision(config), folder.newest_checkpoint() as (store, step):
    setup, test = _prepare(config, data_dir, manual_dir)
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    like = jax.tree.map(
      lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here),
      jax.eval_shape(setup.create_state),
    )
    state, _ = store.restore(step, like)
    name = folder.describe(step)
    folders = data_dir, manual_dir
    yield Subject(config, setup, state.variables, test, step, name, folders)


@contextlib.contextmanager
def subject_of_start(
  config: Mapping[str, Any], data_dir: str | None = None, manual_dir: str | None = None
) -> Iterator[Subject]:
  """The network of a config before training; a context as `subject_of_run`.

  Raises:
    UserError: a config that makes no network, or data that cannot be had.
  """
  with precision(config):
    setup, test = _prepare(config, data_dir, manual_dir)
    state = jax.jit(setup.create_state)()
    name = f'{config["model"]["name"]} on {config["data"]["name"]}'
    name = f'{name}, seed {config["seed"]}, before training'
    folders = data_dir, manual_dir
    yield Subject(config, setup, state.variables, test, 0, name, folders)


@contextlib.contextmanager
def subject_of_weights(
  config: Mapping[str, Any],
  weights: str | Path,
  data_dir: str | None = None,
  manual_dir: str | None = None,
) -> Iterator[Subject]:
  """The network of a config with the weights of a file; a context as `subject_of_run`.

  Args:
    config: plain values, with the groups of `configs/base.py`.
    weights: as `symjax.checkpoints.read` takes them.
    data_dir: where TFDS keeps its data sets; None is TFDS's own default.
    manual_dir: where files that were downloaded by hand lie.

  Raises:
    UserError: a config that makes no network, a file that does not fit it, or data
      that cannot be had.
  """
  with precision(config):
    setup, test = _prepare(config, data_dir, manual_dir)
    shape = setup.normalization.output_shape(test.images.shape[1:])
    variables = jax.device_put(load_into(setup.model, weights, shape))
    name = f'{Path(weights).name} ({config["model"]["name"]} on '
    name = f'{name}{config["data"]["name"]})'
    yield Subject(config, setup, variables, test, None, name, (data_dir, manual_dir))


def _prepare(
  config: Mapping[str, Any], data_dir: str | None, manual_dir: str | None
) -> tuple[Setup, Dataset]:
  splits = load_splits(config['data'], data_dir, manual_dir)
  return build_for(config, splits.train), splits.test
