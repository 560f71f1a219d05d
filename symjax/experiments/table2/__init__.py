"""Document B's Table 2: balanced SGD against unit-norm updates on MNIST."""

from symjax.experiments.table2.experiment import table2
from symjax.experiments.table2.methods import METHODS
from symjax.experiments.table2.protocol import REDUCTIONS, Protocol

__all__ = ['METHODS', 'REDUCTIONS', 'Protocol', 'table2']
