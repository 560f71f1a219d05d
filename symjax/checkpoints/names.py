"""The names of a network's arrays: in our models, and in PyTorch's files.

Ours are `params/layer1_0/conv1/kernel`, PyTorch's `layer1.0.conv1.weight`. They are
compared with dots and slashes read as underscores, so that a name of either kind finds
its place whatever joins its parts.
"""

import re
from collections.abc import Mapping
from typing import Any

import jax

# Our name of an array in a layer -> PyTorch's.
TORCH_ENDINGS = {
  'params': {'kernel': 'weight', 'scale': 'weight', 'bias': 'bias'},
  'batch_stats': {'mean': 'running_mean', 'var': 'running_var'},
}
_SEQUENCE = re.compile(r'^(features|(?:aux_)?classifier|layer\d+|downsample)_(\d+)$')
_FLAX_ENDING = re.compile(r'(^|[./])(kernel|scale)$')
# PyTorch counts batches where Flax does not need to.
_IGNORED = re.compile(r'(^|[./])num_batches_tracked$')


def name_leaves(variables: Mapping[str, Any]) -> dict[str, Any]:
  """The parameters and running statistics of a network by path.

  Args:
    variables: of a Flax module; other collections are left out.
  """
  return {
    jax.tree_util.keystr(path, simple=True, separator='/'): leaf
    for collection in TORCH_ENDINGS
    if collection in variables
    for path, leaf in jax.tree_util.tree_leaves_with_path(
      {collection: variables[collection]}
    )
  }


def nest_leaves(leaves: Mapping[str, Any]) -> dict[str, Any]:
  """The tree whose `name_leaves` are these."""
  tree: dict[str, Any] = {}
  for path, leaf in leaves.items():
    *parents, last = path.split('/')
    node = tree
    for parent in parents:
      node = node.setdefault(parent, {})
    node[last] = leaf
  return tree


def torch_name(path: str) -> str:
  """PyTorch's name of an array of one of our models."""
  collection, *modules, last = path.split('/')
  modules = [_SEQUENCE.sub(r'\1.\2', module) for module in modules]
  return '.'.join((*modules, TORCH_ENDINGS[collection].get(last, last)))


def flax_name(path: str) -> str:
  """The name of an array of one of our models without its collection."""
  return path.partition('/')[2]


def is_flax(names: Mapping[str, Any]) -> bool:
  """Whether names are those of Flax (and of Keras), where weights are `kernel`s."""
  return any(_FLAX_ENDING.search(name) for name in names)


def is_counter(name: str) -> bool:
  """Whether an array only counts the batches that BatchNorm has seen."""
  return bool(_IGNORED.search(name))


def comparable(name: str) -> str:
  """A name as it is compared: without collection, joined by underscores."""
  name = re.sub(r'^(params|batch_stats)[./]', '', name)
  return re.sub(r'[./]', '_', name)
