"""The training and evaluation steps of a config, compiled for a TPU slice."""

from symjax.experiments.compilation.compile import compile_config
from symjax.experiments.compilation.report import compilation_table

__all__ = ['compilation_table', 'compile_config']
