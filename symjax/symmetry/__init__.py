"""How symmetric is what a network learned, and what it computes?"""

from symjax.symmetry import shift_protocol, transformations, views
from symjax.symmetry.band import Band, random_band
from symjax.symmetry.consistency import Agreement, Views, agreement, consistency
from symjax.symmetry.d4 import Group, group_of, orbit, symmetrize
from symjax.symmetry.equivariance import equivariance_error, equivariance_errors
from symjax.symmetry.irreps import irrep_energies
from symjax.symmetry.layers import convolutions, mean_scores, mean_symmetry
from symjax.symmetry.lie_derivative import (
  lie_derivative,
  local_equivariance_error,
  rotation_flow,
  still,
  translation_flow,
)
from symjax.symmetry.plane_groups import (
  PLANE_GROUPS,
  planar_kernel,
  transform_features,
)
from symjax.symmetry.profile import LayerProfile, SymmetryProfile, profile
from symjax.symmetry.score import distances, mean_kernel, score, skew
from symjax.symmetry.stride import nearest_even_sizes, slack, treats_ends_alike

__all__ = [
  'PLANE_GROUPS',
  'Agreement',
  'Band',
  'Group',
  'LayerProfile',
  'SymmetryProfile',
  'Views',
  'agreement',
  'consistency',
  'convolutions',
  'distances',
  'equivariance_error',
  'equivariance_errors',
  'group_of',
  'irrep_energies',
  'lie_derivative',
  'local_equivariance_error',
  'mean_kernel',
  'mean_scores',
  'mean_symmetry',
  'nearest_even_sizes',
  'orbit',
  'planar_kernel',
  'profile',
  'random_band',
  'rotation_flow',
  'score',
  'shift_protocol',
  'skew',
  'slack',
  'still',
  'symmetrize',
  'transform_features',
  'transformations',
  'translation_flow',
  'treats_ends_alike',
  'views',
]
