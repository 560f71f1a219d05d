"""How symmetric is what a network learned?"""

from symjax.symmetry.band import Band, random_band
from symjax.symmetry.d4 import Group, group_of, orbit, symmetrize
from symjax.symmetry.irreps import irrep_energies
from symjax.symmetry.layers import convolutions, mean_scores, mean_symmetry
from symjax.symmetry.profile import LayerProfile, SymmetryProfile, profile
from symjax.symmetry.score import distances, mean_kernel, score, skew

__all__ = [
  'Band',
  'Group',
  'LayerProfile',
  'SymmetryProfile',
  'convolutions',
  'distances',
  'group_of',
  'irrep_energies',
  'mean_kernel',
  'mean_scores',
  'mean_symmetry',
  'orbit',
  'profile',
  'random_band',
  'score',
  'skew',
  'symmetrize',
]
