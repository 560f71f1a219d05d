import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from symjax.errors import UserError
from symjax.optim import by_path, label_parameters

PARAMS = {
  'conv_1': {'kernel': jnp.ones((2, 3)), 'bias': jnp.ones(3)},
  'conv_12': {'kernel': jnp.ones((3, 3))},
  'head': [jnp.ones(2)],
}


def test_the_first_rule_that_matches_a_whole_path_labels_a_parameter():
  rules = [(r'conv_\d/kernel', 'first'), ('.*/kernel', 'kernel'), ('.*', 'rest')]
  assert label_parameters(PARAMS, rules) == {
    'conv_1': {'kernel': 'first', 'bias': 'rest'},
    'conv_12': {'kernel': 'kernel'},
    'head': ['rest'],
  }


def test_each_optimiser_moves_its_own_parameters():
  rules = [('conv_1/.*', 'slow'), ('.*', 'fast')]
  optimizer = by_path({'slow': optax.sgd(0.25), 'fast': optax.sgd(1.0)}, rules)
  updates, _ = optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS)
  moved = optax.apply_updates(PARAMS, updates)
  for leaf in jax.tree.leaves(moved['conv_1']):
    np.testing.assert_array_equal(leaf, 0.75)
  for leaf in jax.tree.leaves([moved['conv_12'], moved['head']]):
    np.testing.assert_array_equal(leaf, 0.0)


def test_uncovered_parameters_and_wrong_rules_are_named():
  with pytest.raises(UserError, match='no rule covers parameter conv_12/kernel'):
    label_parameters(PARAMS, [('conv_1/.*', 'a'), ('head/0', 'b')])
  with pytest.raises(UserError, match=r"rule 'conv_\(' is no regular expression"):
    label_parameters(PARAMS, [('conv_(', 'a')])
  with pytest.raises(UserError, match="the label 'flta', but .* for sphere, flat"):
    by_path({'sphere': optax.sgd(1.0), 'flat': optax.sgd(1.0)}, [('.*', 'flta')])
