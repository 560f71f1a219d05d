"""Strided layers against the others of their network."""

import math
import pathlib

import numpy as np
import pytest

from symjax import symmetry
from symjax.experiments.strided import (
  compare_over_networks,
  contrast_line,
  contrast_strided,
  lean,
)
from symjax.experiments.weights import measure_weights
from symjax.statistics import paired_t_test

REAL = pathlib.Path(__file__).parents[2] / 'shared' / 'data' / 'weights'


def profile(seed, count=5, stride=2):
  """Of random kernels, each second layer of which is strided."""
  rng = np.random.default_rng(seed)
  kernels = {f'conv{i}': rng.standard_normal((3, 3, 4, 4)) for i in range(count)}
  strides = {name: stride if i % 2 else 1 for i, name in enumerate(kernels)}
  return symmetry.profile(kernels, strides=strides).to_json()


@pytest.mark.parametrize(
  'corner, expected',
  [((0, 0), math.sqrt(2)), ((2, 2), -math.sqrt(2)), ((0, 2), 0), ((1, 1), 0)],
)
def test_the_lean_is_toward_the_top_left(corner, expected):
  kernel = np.zeros((3, 3, 1, 1), np.float32)
  kernel[corner] = 1
  (layer,) = symmetry.profile({'conv': kernel}).to_json()['layers']
  assert lean(layer) == pytest.approx(expected, abs=1e-6)


def test_a_mirrored_network_leans_the_other_way():
  rng = np.random.default_rng(0)
  kernels = {f'conv{i}': rng.standard_normal((3, 3, 4, 4)) for i in range(4)}
  strides = dict(zip(kernels, (1, 2, 1, 2), strict=True))
  mirrored = {name: kernel[::-1, ::-1] for name, kernel in kernels.items()}
  found, other = (
    contrast_strided(symmetry.profile(one, strides=strides).to_json())
    for one in (kernels, mirrored)
  )
  assert other['lean'].strided == pytest.approx(-found['lean'].strided, abs=1e-6)
  assert other['lean'].p == found['lean'].p
  assert other['score'].strided == pytest.approx(found['score'].strided, abs=1e-6)


def test_a_contrast_is_of_means_over_layers():
  content = profile(0)
  scores = [layer['score'] for layer in content['layers']]
  found = contrast_strided(content)['score']
  assert found.counts == (2, 3)
  assert found.strided == pytest.approx((scores[1] + scores[3]) / 2)
  assert found.others == pytest.approx((scores[0] + scores[2] + scores[4]) / 3)
  assert 'strided layers against the others (2 and 3): S ' in contrast_line(
    contrast_strided(content)
  )


def test_layers_of_unknown_stride_are_left_out():
  content = profile(0)
  known = contrast_strided(content)
  stranger = {**content['layers'][0], 'name': 'stranger', 'stride': None}
  assert contrast_strided({'layers': [*content['layers'], stranger]}) == known


def test_without_both_kinds_of_layers_there_is_no_contrast():
  assert contrast_strided(profile(0, stride=1)) is None
  assert contrast_strided({'layers': []}) is None
  strided = [layer for layer in profile(0)['layers'] if layer['stride'] == 2]
  assert contrast_strided({'layers': strided}) is None


def test_networks_are_the_pairs_of_the_test_over_networks():
  contrasts = [contrast_strided(profile(seed)) for seed in range(4)]
  found = compare_over_networks(contrasts)
  for name in ('score', 'lean'):
    expected = paired_t_test(
      [one[name].strided for one in contrasts], [one[name].others for one in contrasts]
    )
    assert found[name] == expected


@pytest.mark.skipif(not REAL.exists(), reason='the real weights are not at hand')
def test_strided_layers_of_a_real_network_lean_to_the_padded_corner():
  found = contrast_strided(measure_weights(REAL / 'resnet20-12fca82f.th').profile)
  # Both of two, and to that side; that S is lower there is not seen.
  assert found['lean'].strided > 0.25 > abs(found['lean'].others)
  assert found['lean'].p < 0.05 < found['score'].p
