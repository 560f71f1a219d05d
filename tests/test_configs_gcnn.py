"""The group-equivariant experiments: parameters of the networks that are compared."""

import jax
import jax.numpy as jnp
import pytest

from configs import rotated_mnist_gcnn, six_nine_gcnn
from symjax.experiments.setup import make_model

EQUAL = 'plain_equal_parameters'


def planes_and_parameters(config, classes):
  model = make_model(config.model.to_dict(), classes)
  images = jnp.zeros((1, config.data.image_size, config.data.image_size, 1))
  params = jax.eval_shape(model.init, jax.random.key(0), images)['params']
  order = {'p1': 1, 'p4': 4, 'p4m': 8}[model.group]
  return order * model.channels, sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
  'config, classes, counts',
  [(rotated_mnist_gcnn, 10, (9165, 9264)), (six_nine_gcnn, 2, (9117, 9144))],
)
def test_equal_parameters_are_those_that_are_documented(config, classes, counts):
  variants = ('', EQUAL)
  found = [planes_and_parameters(config.get_config(v), classes)[1] for v in variants]
  assert found == list(counts)
  assert max(found) < 1.02 * min(found)
  for count in counts:
    assert f'{count:,}' in config.__doc__


@pytest.mark.parametrize('variant, order', [('', 8), ('p4', 4)])
def test_a_plain_network_with_as_many_planes_has_that_many_times_the_parameters(
  variant, order
):
  planes, count = planes_and_parameters(rotated_mnist_gcnn.get_config(variant), 10)
  plain = rotated_mnist_gcnn.get_config('plain_equal_channels')
  if variant == 'p4':  # As many planes as p4m has are twice those of p4.
    with plain.unlocked():
      plain.model.channels //= 2
  plain_planes, plain_count = planes_and_parameters(plain, 10)
  assert plain_planes == planes
  assert plain_count / count == pytest.approx(order, rel=0.01)


@pytest.mark.parametrize('config', [rotated_mnist_gcnn, six_nine_gcnn])
def test_variants_differ_in_the_network_alone(config):
  usual = config.get_config().to_dict()
  plain = config.get_config(EQUAL).to_dict()
  assert {key for key in usual if usual[key] != plain[key]} == {'model'}
