"""Computing activations twice changes memory, and nothing else."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from symjax.data import fake_dataset, training_batches
from symjax.models import get_model
from symjax.nn import ConvPolicy
from symjax.training.images import Augmentation, Normalization
from symjax.training.rematerialization import rematerialize
from symjax.training.state import create_state
from symjax.training.step import make_train_step
from symjax.training.tasks import Classification

DATASET = fake_dataset(
  'fake', 'train', num_classes=4, image_shape=(16, 16, 3), num_examples=16
)


POLICY = ConvPolicy(downsampling='balanced', algorithm='xla')
MODEL = get_model(
  'vgg', 4, policy=POLICY, depth=13, stages=1, width=1 / 32, batch_norm=True,
  head='classifier', dtype='float64',
)  # fmt: skip


def test_gradients_stay_with_what_is_drawn(float64, standard_promotion):
  """Dropout's masks and the phases of balanced pooling are the same: 1e-12."""
  state = create_state(MODEL, optax.sgd(1.0), (16, 16, 3), seed=0)
  [batch] = training_batches(DATASET, 16, 0, 0, 1)
  (expected, before), (found, after) = (
    jax.jit(
      make_train_step(
        MODEL,
        optax.sgd(1.0),
        Classification(),
        Normalization((0.5,) * 3, (0.25,) * 3),
        Augmentation(),
        rematerialize=rematerialize,
      )
    )(state, batch)
    for rematerialize in (False, True)
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-12),
    (found.params, found.batch_stats, after),
    (expected.params, expected.batch_stats, before),
  )


@pytest.mark.parametrize('pointwise', [1, 5])
def test_what_is_kept_are_the_results_of_convolutions(pointwise):
  """However much is done between them, their bytes and no more: no XLA is asked."""
  layers, images = 6, jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32)
  kernels = [jax.ShapeDtypeStruct((3, 3, 3, 3), jnp.float32)] * layers

  def forward(kernels, x):
    for kernel in kernels:
      x = lax.conv_general_dilated(
        x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
      )
      for _ in range(pointwise):
        x = jnp.tanh(x * jnp.sin(x))
    return x

  def kept(function):
    _, backward = jax.eval_shape(functools.partial(jax.vjp, function), kernels, images)
    return sum(leaf.size for leaf in jax.tree.leaves(backward))

  given = images.size + sum(kernel.size for kernel in kernels)
  assert kept(rematerialize(forward)) == given + layers * images.size
  assert kept(forward) >= given + layers * images.size * (1 + 2 * pointwise)


def test_a_result_that_is_an_argument_or_a_constant_stays():
  """Also one of a function without any convolution."""
  found = jax.jit(rematerialize(lambda x: (x, 2.0, {'a': jnp.sin(x)})))(jnp.ones(2))
  np.testing.assert_array_equal(found[0], np.ones(2))
  assert float(found[1]) == 2.0
  np.testing.assert_allclose(found[2]['a'], np.sin(1.0), rtol=1e-6)
