"""One convolution, several algorithms, chosen by shape."""

from symjax.nn.conv.costs import CostTable, read_cost_table
from symjax.nn.conv.function import CHOICES, conv1d, conv2d

__all__ = ['CHOICES', 'CostTable', 'conv1d', 'conv2d', 'read_cost_table']
