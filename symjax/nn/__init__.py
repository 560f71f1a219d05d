"""What in the architecture breaks or builds in a symmetry: Flax layers."""

from symjax.nn.attention import DeepSets, SelfAttention
from symjax.nn.audit import Audit, LayerAudit, audit
from symjax.nn.average_pool import AveragePool
from symjax.nn.balanced import sampling_phase
from symjax.nn.conv import CostTable, conv1d, conv2d
from symjax.nn.downsample import Downsample
from symjax.nn.equivariance_report import (
  LayerEquivariance,
  Symmetry,
  equivariance_report,
  equivariance_reports,
)
from symjax.nn.group import GroupConv, LiftingConv
from symjax.nn.group_maps import GroupBatchNorm, GroupMaxPool, group_max, group_mean
from symjax.nn.layers import Conv
from symjax.nn.local import LocalConv
from symjax.nn.local_response import local_response_normalization
from symjax.nn.padding import MODES
from symjax.nn.policy import ConvPolicy
from symjax.nn.pooling import MaxPool, adaptive_average_pool
from symjax.nn.positions import rotary, sinusoids
from symjax.nn.reading import foveation
from symjax.nn.resizing import resize_bilinear
from symjax.nn.trace import (
  Layer,
  downsampling_marks,
  smallest_image,
  total_stride,
  trace,
)
from symjax.nn.unpooling import IndexedMaxPool, MaxUnpool
from symjax.nn.window import Window, same_widths

__all__ = [
  'MODES',
  'Audit',
  'AveragePool',
  'Conv',
  'ConvPolicy',
  'CostTable',
  'DeepSets',
  'Downsample',
  'GroupBatchNorm',
  'GroupConv',
  'GroupMaxPool',
  'IndexedMaxPool',
  'Layer',
  'LayerAudit',
  'LayerEquivariance',
  'LiftingConv',
  'LocalConv',
  'MaxPool',
  'MaxUnpool',
  'SelfAttention',
  'Symmetry',
  'Window',
  'adaptive_average_pool',
  'audit',
  'conv1d',
  'conv2d',
  'downsampling_marks',
  'equivariance_report',
  'equivariance_reports',
  'foveation',
  'group_max',
  'group_mean',
  'local_response_normalization',
  'resize_bilinear',
  'rotary',
  'same_widths',
  'sampling_phase',
  'sinusoids',
  'smallest_image',
  'total_stride',
  'trace',
]
