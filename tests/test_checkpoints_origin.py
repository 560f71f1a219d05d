"""What unknown weights are: framework, order of axes, convolutions, folding."""

import numpy as np
import pytest

from symjax.checkpoints.formats import HDF5, NPZ, SAFETENSORS, TORCH_ZIP, WORKDIR
from symjax.checkpoints.origin import find_kernels, find_origin, lacks_normalisation
from symjax.errors import UserError


def arrays(**shapes):
  """Zeros by name, with `__` read as a dot."""
  return {
    name.replace('__', '.'): np.zeros(s, np.float32) for name, s in shapes.items()
  }


@pytest.mark.parametrize(
  'weights, kind, framework, layout, evidence',
  [
    (arrays(a__weight=(3, 3, 8, 8)), SAFETENSORS, 'PyTorch', 'OIHW', 'by the names'),
    (arrays(a__kernel=(8, 8, 3, 3)), NPZ, 'Flax', 'HWIO', 'by the names'),
    ({'c/kernel:0': np.zeros((3, 3, 3, 3))}, HDF5, 'Keras', 'HWIO', 'by the names'),
    (arrays(a=(8, 4, 5, 5)), NPZ, 'unknown framework', 'OIHW', 'by the shapes'),
    (arrays(a=(5, 5, 4, 8)), TORCH_ZIP, 'PyTorch', 'HWIO', 'by the shapes'),
    (arrays(a=(8, 4, 3, 3)), HDF5, 'Keras', 'OIHW', 'by the shapes'),  # Of Theano.
    # A depthwise kernel [9, 1, 5, 5] votes wrongly, and is in the minority.
    (
      arrays(a=(9, 1, 5, 5), b=(8, 4, 3, 3), c=(8, 8, 3, 3)),
      NPZ,
      'unknown framework',
      'OIHW',
      'by the shapes',
    ),
    (arrays(a=(3, 3, 3, 3)), TORCH_ZIP, 'PyTorch', 'OIHW', 'by the format'),
    (arrays(a=(3, 3, 3, 3)), HDF5, 'Keras', 'HWIO', 'by the format'),
    (arrays(a=(3, 3, 3, 3)), WORKDIR, 'Flax', 'HWIO', 'by the format'),
  ],
)
def test_rules(weights, kind, framework, layout, evidence):
  found = find_origin(weights, kind)
  assert (found.framework, found.layout, found.evidence) == (
    framework,
    layout,
    evidence,
  )


def test_what_is_asked_for_overrules():
  weights = arrays(a__weight=(8, 8, 3, 3))
  assert find_origin(weights, NPZ, 'HWIO').layout == 'HWIO'
  with pytest.raises(UserError, match="unknown layout 'NCHW'; choose from OIHW, HWIO"):
    find_origin(weights, NPZ, 'NCHW')


def test_what_cannot_be_told_is_asked_for():
  with pytest.raises(UserError, match='neither names nor shapes tell .*--layout=OIHW'):
    find_origin(arrays(a=(3, 3, 3, 3)), NPZ)


def test_kernels_and_arrays_of_no_common_kind():
  weights = arrays(
    plain=(8, 4, 3, 3),
    depthwise=(8, 1, 5, 5),
    line=(8, 4, 1, 7),
    pointwise=(8, 4, 1, 1),
    dense=(8, 4),
    bias=(8,),
    positions=(1, 8, 224, 224),
    volume=(8, 4, 3, 3, 3),
    sequence=(8, 4, 3),
  )
  weights['index'] = np.zeros((2, 2, 3, 3), int)
  kernels, odd = find_kernels(weights, 'OIHW')
  assert list(kernels) == ['plain', 'depthwise', 'line']
  assert list(odd) == ['positions', 'volume', 'sequence', 'index']
  assert odd['volume'] == (8, 4, 3, 3, 3)


CONV = dict(a__weight=(8, 4, 3, 3), a__bias=(8,), b__weight=(6, 8, 1, 1))


@pytest.mark.parametrize(
  'more, folded',
  [
    (dict(b__bias=(6,)), True),
    (dict(b__bias=(6,), fc__weight=(2, 6)), True),
    ({}, False),  # A convolution without a bias.
    (dict(b__bias=(5,)), False),  # A vector of another length is none.
    (dict(b__bias=(6,), bn__running_mean=(6,)), False),
    (dict(b__bias=(6,), batch_stats__n__mean=(6,)), False),
  ],
)
def test_biases_without_statistics_may_be_a_folded_batchnorm(more, folded):
  assert lacks_normalisation(arrays(**CONV, **more)) == folded


def test_keras_names_its_statistics_otherwise():
  weights = arrays(**{'c/kernel': (3, 3, 4, 8), 'c/bias': (8,)})
  assert lacks_normalisation(weights)
  assert not lacks_normalisation(weights | arrays(**{'n/moving_variance': (8,)}))
