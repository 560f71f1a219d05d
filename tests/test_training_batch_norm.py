"""BatchNorm's exact statistics: what a layer sees, and of batches what all show."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from symjax.training.batch_norm import (
  make_statistics_step,
  no_statistics,
  observe,
)
from symjax.training.images import Normalization
from symjax.training.state import start_state

NORMALIZATION = Normalization((0.5,) * 3, (0.25,) * 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 4, 5, 3)).astype(np.uint8)


class TwoNorms(nn.Module):
  """Two normalisations with something between them."""

  @nn.compact
  def __call__(self, images, *, train):
    x = images
    for features in (4, 6):
      x = nn.Dense(features)(x)
      x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
    return x


def state_of(model):
  variables = model.init(jax.random.key(0), jnp.zeros((1, 4, 5, 3)), train=False)
  return start_state(optax.identity(), variables, seed=0)


def test_evaluation_by_the_statistics_of_a_batch_is_training_on_it():
  model, images = TwoNorms(), NORMALIZATION(IMAGES)
  state = state_of(model)
  outputs, statistics = observe(model, state.params, images)
  assert jax.tree.structure(statistics) == jax.tree.structure(state.batch_stats)
  evaluated = model.apply({'params': state.params, 'batch_stats': statistics}, images,
                          train=False)  # fmt: skip
  np.testing.assert_allclose(evaluated, outputs, rtol=1e-4, atol=1e-5)


def test_batches_together_have_the_statistics_of_all_their_pixels():
  """Of the first layer; the second one's inputs depend on the batch before it."""
  model = TwoNorms()
  state = state_of(model)
  step = jax.jit(make_statistics_step(model, NORMALIZATION))
  found = no_statistics(state)
  for start in range(0, 12, 4):
    found = step((state, found), {'image': jnp.asarray(IMAGES[start : start + 4])})
  kernel = np.asarray(state.params['Dense_0']['kernel'], np.float64)
  x = ((IMAGES / 255 - 0.5) / 0.25 @ kernel).reshape(-1, 4)
  layer = found.batch_stats['BatchNorm_0']
  np.testing.assert_allclose(layer['mean'], x.mean(0), rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(layer['var'], x.var(0), rtol=1e-5)
  assert int(found.batches) == 3
