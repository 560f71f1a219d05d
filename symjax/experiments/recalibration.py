"""BatchNorm's statistics recomputed at the end of a training."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import Mesh

from symjax import data
from symjax.errors import UserError
from symjax.experiments.setup import Setup
from symjax.training import devices
from symjax.training.batch_norm import make_statistics_step, no_statistics
from symjax.training.state import TrainState


def require_batch_norm(config: Mapping[str, Any], setup: Setup) -> None:
  """Checks that there is something to recalibrate where that is asked.

  Raises:
    UserError: the network has no BatchNorm.
  """
  asked = config['train']['recalibrate_batch_norm']
  if asked and not jax.eval_shape(setup.create_state).batch_stats:
    raise UserError(
      'train.recalibrate_batch_norm=true is for networks with BatchNorm, and '
      f'{config["model"]["name"]} has none; leave it false'
    )


def recalibrate(
  config: Mapping[str, Any],
  setup: Setup,
  mesh: Mesh,
  training_set: data.Dataset | data.Stream,
  state: TrainState,
) -> TrainState:
  """The state with the statistics of its weights over the training split.

  They are of images that are not augmented, in batches of the training's size, each
  image once and some twice where they do not fill the last batch; where training takes
  a batch in parts, in batches of a part's size. Averaged weights get theirs as well:
  the average of statistics is not quite that of the averaged weights.
  """
  if isinstance(training_set, data.Stream):
    training_set = dataclasses.replace(training_set, crop_area=None)
  size = setup.microbatch_size
  batches = data.training_batches(
    training_set,
    size,
    config['seed'],
    0,
    math.ceil(len(training_set) / size),
    process_index=jax.process_index(),
    process_count=jax.process_count(),
  )
  step = devices.jit(
    make_statistics_step(setup.model, setup.normalization),
    mesh,
    donate_state=False,
  )
  statistics = no_statistics(state)
  with data.prefetch(batches, lambda b: devices.place_batch(mesh, b)) as placed:
    for batch in placed:
      statistics = step((state, statistics), batch)
  return state.with_batch_stats(statistics.batch_stats)
