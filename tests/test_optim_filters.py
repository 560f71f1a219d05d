import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optim_walks import gaussian, kernels

from symjax.errors import UserError
from symjax.optim import largest_departure, normalize_filters, riemannian_sgd, unit_norm


def test_normalize_filters_touches_only_what_is_chosen():
  params = {'kernel': gaussian((5, 4), 0), 'bias': gaussian((4,), 1)}
  chosen = normalize_filters(
    params, mask=lambda p: jax.tree.map(lambda x: x.ndim > 1, p)
  )
  assert chosen['bias'] is params['bias']
  assert largest_departure(chosen, mask={'kernel': True, 'bias': False}) < 1e-6
  with pytest.raises(UserError, match='^bias: no filters are known for rank 1'):
    normalize_filters(params)
  # A prefix of a tree is enough.
  nested = normalize_filters(
    {'a': params, 'b': kernels()}, mask={'a': False, 'b': True}
  )
  assert nested['a']['kernel'] is params['kernel']


def test_the_largest_departure_finds_one_filter():
  params = kernels()
  params['conv']['kernel'] = params['conv']['kernel'].at[..., 3].multiply(1.25)
  measure = jax.jit(largest_departure)
  np.testing.assert_allclose(measure(params), 0.25, rtol=1e-5)
  params['dense']['kernel'] = params['dense']['kernel'].at[0, 0].set(jnp.nan)
  assert np.isnan(measure(params))
  with pytest.raises(UserError, match='the mask leaves all out'):
    largest_departure(params, mask=False)


@pytest.mark.parametrize('make', [unit_norm, None], ids=['unit_norm', 'riemannian_sgd'])
def test_filters_must_begin_on_the_sphere(make):
  optimizer = make(optax.sgd(0.1)) if make else riemannian_sgd(0.1)
  params = kernels()
  for scale, norm in ((2.0, '2'), (1.002, '1.002'), (0.0, '0'), (np.nan, 'nan')):
    params['dense']['kernel'] = kernels()['dense']['kernel'].at[:, 4].multiply(scale)
    with pytest.raises(
      UserError,
      match=f'^dense/kernel: filter 4 has norm {norm}, not 1: begin with norm',
    ):
      optimizer.init(params)
    jax.eval_shape(optimizer.init, params)  # Traced numbers cannot be checked.
    jax.jit(optimizer.init)(params)
  optimizer.init(normalize_filters(kernels()))
  optimizer.init(jax.tree.map(lambda w: w.astype(jnp.bfloat16), kernels()))


def test_concrete_filters_are_checked_inside_of_a_trace():
  twice = jax.tree.map(lambda w: 2 * w, kernels())
  with pytest.raises(UserError, match='conv/kernel: filter . has norm 2'):
    jax.jit(lambda: unit_norm(optax.sgd(0.1)).init(twice))()


def test_zero_filters_cannot_be_normalised():
  params = {'layer': {'kernel': gaussian((5, 4), 0).at[:, 2].set(0)}}
  with pytest.raises(UserError, match='^layer/kernel: filter 2 is zero or not finite'):
    normalize_filters(params)
  traced = jax.jit(normalize_filters)(params)
  assert np.isnan(traced['layer']['kernel'][:, 2]).all()
  kernel = gaussian((3, 3, 2, 4), 0).at[:, :, 1, 3].set(0)
  with pytest.raises(UserError, match=r'^kernel: filter \(1, 3\) is zero'):
    normalize_filters({'kernel': kernel}, filter_axes=(0, 1))


def test_ranks_without_a_default_and_axes_that_do_not_fit_are_named():
  vector = {'norm': {'scale': jnp.ones(4)}}
  with pytest.raises(UserError, match='^norm/scale: no filters are known for rank 1'):
    unit_norm(optax.sgd(0.1)).init(vector)
  with pytest.raises(UserError, match='^norm/scale: filter axes .* rank 1'):
    riemannian_sgd(0.1, filter_axes=(0, 1, 2)).init(vector)
  with pytest.raises(UserError, match='^parameter: filter axes'):
    functools.partial(jax.jit, unit_norm(optax.sgd(0.1), 0).init)()(jnp.ones(()))
