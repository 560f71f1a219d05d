"""The report names the layer where equivariance breaks, and no other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from symjax.models import get_model
from symjax.nn import Conv, ConvPolicy, equivariance_report
from symjax.symmetry import symmetrize
from symjax.symmetry.d4 import TRANSFORMS
from symjax.symmetry.transformations import circular_translation, dihedral


class Block(nn.Module):
  """A strided convolution and one behind it, to have a module inside a module."""

  policy: ConvPolicy

  @nn.compact
  def __call__(self, x):
    x = nn.relu(Conv(4, strides=(2, 2), policy=self.policy, name='strided')(x))
    return x + Conv(4, policy=self.policy, name='second')(x)


class Network(nn.Module):
  """Convolutions, a strided block, and a head on the global average or on the map."""

  padding: str = 'zero'
  flatten: bool = False

  @nn.compact
  def __call__(self, x):
    policy = ConvPolicy(self.padding)
    x = nn.relu(Conv(4, policy=policy, name='first')(x))
    x = Block(policy, name='block')(x)
    x = x.reshape(len(x), -1) if self.flatten else x.mean((1, 2))
    return nn.Dense(3, name='head')(x)


LAYERS = ['first', 'block/strided', 'block/second', 'block', 'head', 'Network']


def problem(key, model, size):
  """Variables with symmetrised kernels and drawn biases, and images [2, *size, 3]."""
  x = jax.random.normal(key, (2, *size, 3))
  variables = jax.jit(model.init)(key, x)

  def prepare(leaf):
    if leaf.ndim == 4:
      return symmetrize(leaf)
    return jax.random.normal(key, leaf.shape) if leaf.ndim == 1 else leaf

  return jax.tree.map(prepare, variables), x


def breaking(report):
  names = [row.name for row in report if row.breaks]
  assert len(names) <= 1
  return names[0] if names else None


@pytest.mark.parametrize('element', TRANSFORMS)
def test_symmetric_kernels_on_an_odd_size_are_equivariant_everywhere(key, element):
  model = Network()
  report = equivariance_report(
    *(model, *problem(key, model, (9, 9))), dihedral(element)
  )
  assert [row.name for row in report] == LAYERS
  assert max(row.error for row in report) < 2e-6
  assert breaking(report) is None
  shapes = [row.output_shape for row in report]
  assert shapes == [(9, 9, 4), (5, 5, 4), (5, 5, 4), (5, 5, 4), (3,), (3,)]


def test_on_an_even_size_the_strided_layer_breaks_d4(key):
  model = Network()
  report = equivariance_report(*(model, *problem(key, model, (8, 8))), dihedral('r'))
  errors = {row.name: row.error for row in report}
  assert breaking(report) == 'block/strided'
  assert errors['first'] < 2e-6
  assert all(error > 0.01 for name, error in errors.items() if name != 'first')


def test_free_kernels_break_d4_at_once(key):
  model = Network()
  x = jax.random.normal(key, (2, 9, 9, 3))
  assert breaking(equivariance_report(model, model.init(key, x), x, dihedral('s'))) == (
    'first'
  )


@pytest.mark.parametrize('size', [(8, 8), (8, 12)])
def test_zero_padding_breaks_circular_translation_and_circular_padding_does_not(
  key, size
):
  move = circular_translation((2, 4), image_size=size)
  expected = {'zero': 'first', 'reflect': 'first', 'circular': None}
  for padding, layer in expected.items():
    model = Network(padding)
    report = equivariance_report(model, *problem(key, model, size), move)
    assert breaking(report) == layer


def test_a_head_that_sees_places_breaks_invariance(key):
  model = Network('circular', flatten=True)
  move = circular_translation((2, 2), image_size=(8, 8))
  report = equivariance_report(model, *problem(key, model, (8, 8)), move)
  assert breaking(report) == 'head'
  assert report[-1].error > 0.1


def test_a_transformation_without_counterpart_on_the_map_breaks_there(key):
  """Part of a pixel of the strided map; a map that lost its border; rectangles."""
  model = Network('circular')
  move = circular_translation((1, 1), image_size=(8, 8))
  report = equivariance_report(model, *problem(key, model, (8, 8)), move)
  errors = {row.name: row.error for row in report}
  assert breaking(report) == 'block/strided'
  assert errors['block/strided'] == errors['block'] == np.inf

  model = Network('valid')
  move = circular_translation((3, 3), image_size=(9, 9))
  report = equivariance_report(model, *problem(key, model, (9, 9)), move)
  assert (report[0].breaks, report[0].error) == (True, np.inf)


class Odd(nn.Module):
  """Shares a layer, calls one on tokens, and makes one output NaN."""

  @nn.compact
  def __call__(self, x):
    dense = nn.Dense(3, name='shared')
    x = dense(dense(x))
    nn.Dense(2, name='tokens')(x.reshape(len(x), -1, 3))
    return functools.reduce(jnp.add, [x, x]) * jnp.nan


def test_calls_are_rows_tokens_are_left_out_and_nan_breaks(key):
  x = jax.random.normal(key, (2, 5, 5, 3))
  report = equivariance_report(Odd(), Odd().init(key, x), x, dihedral('r'))
  assert [row.name for row in report] == ['shared', 'shared', 'Odd']
  assert breaking(report) == 'Odd'
  assert np.isnan(report[-1].error)


def test_models_of_the_lab_with_their_call_arguments(key):
  """VGG's poolings are exact for shifts by their total stride, 8 after three stages."""
  model = get_model(
    'vgg', 10, depth=11, width=1 / 16, batch_norm=True, head='average', stages=3,
    policy=ConvPolicy('circular'),
  )  # fmt: skip
  x = jax.random.normal(key, (1, 16, 16, 3))
  variables = jax.jit(model.init)(key, x)
  run = functools.partial(equivariance_report, model, variables, x, train=False)
  assert breaking(run(circular_translation((8, 0), image_size=(16, 16)))) is None
  less = run(circular_translation((4, 0), image_size=(16, 16)))
  assert breaking(less) == 'features_14'  # The third pooling.
