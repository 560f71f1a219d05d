"""The report of a network: what breaks first, what nothing breaks."""

import copy
import importlib

import jax
import numpy as np
import pytest

from symjax.errors import UserError
from symjax.experiments.equivariance import (
  equivariance_table,
  measure,
  symmetries,
  verdict,
)
from symjax.experiments.setup import build
from symjax.experiments.subject import subject_of_run
from symjax.symmetry.d4 import TRANSFORMS

CONFIG = importlib.import_module('configs.mnist_connected').get_config('smoke')


def report(size, **model):
  """Of a network with drawn weights on drawn images, which no symmetry leaves alone."""
  config = copy.deepcopy(CONFIG.to_dict())
  if model.get('name', 'connected') != 'connected':
    config['model'] = {'padding': 'zero', 'widths': 'explicit', 'dtype': 'float32'}
  config['model'] |= model
  setup = build(config, (*size, 1), num_classes=3, num_examples=64)
  rng = np.random.default_rng(0)
  shapes = jax.eval_shape(setup.create_state).variables
  variables = jax.tree.map(
    lambda leaf: rng.uniform(0.1, 1, leaf.shape).astype(np.float32), shapes
  )
  images = rng.standard_normal((2, *size, 1)).astype(np.float32)
  return measure(setup, variables, jax.numpy.asarray(images))


def test_a_circular_network_keeps_circular_shifts_and_nothing_else():
  found = report((8, 8), features=(2, 3), head='average', padding='circular')
  names = ['connected_0', 'connected_1', 'head', 'Connected']
  assert [layer['name'] for layer in found['layers']] == names
  assert [layer['output_shape'] for layer in found['layers']] == [
    [4, 4, 2], [2, 2, 3], [3], [3],
  ]  # fmt: skip
  broken = {*TRANSFORMS, 'crop 4,4'}
  assert found['breaks'] == {
    name: 'connected_0' if name in broken else None
    for name in (*TRANSFORMS, 'circular 4,4', 'crop 4,4')
  }
  errors = [layer['errors']['circular 4,4'] for layer in found['layers']]
  assert max(errors) < 1e-5
  assert 'nothing breaks circular 4,4' in verdict(found)


def test_a_map_that_lost_its_border_has_no_counterpart_of_a_shift():
  found = report((17, 17), features=(2, 3), head='average', padding='valid')
  for name in ('circular 4,4', 'crop 4,4'):  # 17 -> 8 pixels.
    assert found['breaks'][name] == 'connected_0'
    assert found['layers'][0]['errors'][name] is None
  line = equivariance_table(found).splitlines()[1]
  assert line.split()[:2] == ['connected_0', '8x8x2'] and '-*' in line


def test_group_convolutions_keep_their_group_in_every_layer():
  found = report((8, 8), name='gcnn', group='p4', channels=2, depth=3)
  kept = {'r', 'r2', 'r3'}
  assert {name for name in TRANSFORMS if found['breaks'][name] is None} == kept
  assert found['breaks']['s'] == 'conv_0'  # p4 has no mirrored orientation.
  assert found['layers'][0]['errors']['s'] is None
  assert found['breaks']['circular 2,2'] == 'conv_0'  # Zero padding.


def test_rectangles_have_three_elements_and_shifts_stay_inside_the_image():
  names = list(symmetries((6, 8), (8, 4)))
  assert names == ['r2', 's', 'sr2', 'circular 3,4', 'crop 3,4']


def test_the_table_marks_each_symmetry_once_where_it_breaks():
  found = {
    'breaks': {'r': 'b', 's': None},
    'layers': [
      {'name': 'a', 'output_shape': [4, 4, 2], 'errors': {'r': 2e-7, 's': 0.0}},
      {'name': 'b', 'output_shape': [3], 'errors': {'r': 0.5, 's': 3e-7}},
      {'name': 'b', 'output_shape': [3], 'errors': {'r': 0.5, 's': 3e-7}},
    ],
  }
  head, *rows = (line.split() for line in equivariance_table(found).splitlines())
  assert head == ['layer', 'output', 'r', 's']
  assert rows[0] == ['a', '4x4x2', '2e-07', '0e+00']
  assert rows[1] == ['b', '3', '0.50*', '3e-07']
  assert rows[2] == ['b', '3', '0.50', '3e-07']
  assert verdict(found) == 'b breaks r; nothing breaks s'


def test_a_folder_that_is_no_run_is_named(tmp_path):
  with pytest.raises(UserError, match='is no workdir of run.train'):
    with subject_of_run(tmp_path / 'none'):
      pass
  assert not list(tmp_path.iterdir())
