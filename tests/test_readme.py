"""The README's example, on a network that is nobody's."""

import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

README = pathlib.Path(__file__).parent.parent / 'README.md'


class Foreign(nn.Module):
  @nn.compact
  def __call__(self, images):
    x = nn.Conv(6, (3, 3), use_bias=False)(images)
    x = nn.relu(nn.BatchNorm(use_running_average=False)(x))
    return nn.Dense(3)(x.mean((1, 2)))


def test_the_unit_norm_example_trains_a_foreign_network(key):
  [code] = (
    block
    for block in re.findall(r'```python\n(.*?)```', README.read_text(), re.DOTALL)
    if 'unit_norm(' in block
  )
  assert len([line for line in code.splitlines() if line.strip()]) <= 15
  model = Foreign()
  images = jax.random.normal(key, (12, 8, 8, 2))
  labels = jnp.arange(12) % 3
  variables = model.init(key, images)

  def loss(params):
    logits, _ = model.apply(
      {**variables, 'params': params}, images, mutable=['batch_stats']
    )
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

  scope = {'params': variables['params']}
  scope['gradients'] = jax.grad(loss)(scope['params'])
  exec(code, scope)
  norms = np.linalg.norm(
    np.reshape(scope['params']['Conv_0']['kernel'], (-1, 6)), axis=0
  )
  np.testing.assert_allclose(norms, 1, atol=1e-6)
  moved = (
    scope['params']['Dense_0']['kernel'] - variables['params']['Dense_0']['kernel']
  )
  assert np.abs(moved).max() > 0
