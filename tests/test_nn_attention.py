"""The symmetry of attention, how positions break it, and the rotary identity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjax.errors import UserError
from symjax.nn import DeepSets, SelfAttention, rotary, sinusoids
from symjax.symmetry import equivariance_error
from symjax.symmetry.transformations import identity, permutation

ORDER = [4, 2, 0, 5, 1, 3]


def gaussian(*shape, seed=0):
  return np.random.default_rng(seed).standard_normal(shape)


def tokens(channels=8, seed=0):
  """[2, 6, channels]"""
  return jnp.asarray(gaussian(2, len(ORDER), channels, seed=seed), jnp.float32)


def attention(key, positions, x):
  """The module, with attention sharp enough that positions matter, as a function."""
  module = SelfAttention(heads=2, positions=positions)
  params = module.init(key, x)
  params = jax.tree.map(lambda leaf: 3 * leaf, params)
  return lambda x, **more: module.apply(params, x, **more)


@pytest.mark.parametrize('positions, equivariant', [
  ('none', True), ('absolute', False), ('rotary', False),
])  # fmt: skip
def test_positions_break_the_permutation_symmetry(key, positions, equivariant):
  x, shuffle = tokens(), permutation(ORDER)
  error = equivariance_error(attention(key, positions, x), shuffle, shuffle, x)
  assert error < 1e-6 if equivariant else error > 0.1


@pytest.mark.parametrize('positions', ['none', 'absolute', 'rotary'])
def test_tokens_that_carry_their_places_may_be_shuffled(key, positions):
  """What positions break is the order of the array, not that of the places."""
  x, shuffle = tokens(), permutation(ORDER)
  apply = attention(key, positions, x)
  moved = apply(shuffle(x), places=jnp.asarray(ORDER))
  np.testing.assert_allclose(moved, shuffle(apply(x)), atol=2e-5)


@pytest.mark.parametrize('positions, invariant', [
  ('none', True), ('absolute', False), ('rotary', True),
])  # fmt: skip
def test_shifting_all_places_is_seen_by_absolute_positions_alone(
  key, positions, invariant
):
  x = tokens()
  apply = attention(key, positions, x)
  places = jnp.arange(x.shape[1])

  def change(moved):
    y = apply(x)
    return jnp.linalg.norm(apply(x, places=moved) - y) / jnp.linalg.norm(y)

  gap = change(places + 7)
  assert gap < 1e-5 if invariant else gap > 0.1
  assert change(2 * places) > 0.1 or positions == 'none'  # Both see distances.


def test_attention_is_that_of_the_chapter(key, float64):
  """softmax(Q K^T / sqrt(d)) V, head by head, then the output layer."""
  x = tokens().astype(jnp.float64)
  module = SelfAttention(heads=2, param_dtype=jnp.float64)
  params = module.init(key, x)['params']
  assert list(params) == ['query', 'key', 'value', 'out']
  params = jax.tree.map(lambda leaf: leaf + 0.1, params)  # Biases too.

  def dense(name, x):
    return x @ np.asarray(params[name]['kernel']) + np.asarray(params[name]['bias'])

  q, k, v = (dense(name, np.asarray(x)) for name in ('query', 'key', 'value'))
  heads = []
  for head in (slice(0, 4), slice(4, 8)):
    logits = q[..., head] @ np.swapaxes(k[..., head], 1, 2) / np.sqrt(4)
    weights = np.exp(logits)
    heads.append(weights / weights.sum(-1, keepdims=True) @ v[..., head])
  expected = dense('out', np.concatenate(heads, -1))
  np.testing.assert_allclose(module.apply({'params': params}, x), expected, atol=1e-12)


@pytest.mark.parametrize('m, n', [(0, 0), (3, 8), (8, 3), (-2.5, 1000.25)])
def test_rotary_identity(float64, m, n):
  """<R_m q, R_n k> = <q, R_{n-m} k>"""
  q, k = jnp.asarray(gaussian(1, 16)), jnp.asarray(gaussian(1, 16, seed=1))

  def turn(x, position):
    return rotary(x, jnp.asarray([position], jnp.float64))

  left = jnp.vdot(turn(q, m), turn(k, n))
  np.testing.assert_allclose(left, jnp.vdot(q, turn(k, n - m)), atol=1e-12)
  if m != n:
    assert abs(left - jnp.vdot(q, k)) > 1e-3
    assert abs(left - jnp.vdot(q, turn(k, n + m))) > 1e-3


def test_rotary_is_a_group_of_rotations(float64):
  """R_m is orthogonal with determinant 1, R_m R_n = R_{m+n}, R_m^T = R_{-m}."""

  def matrix(m):
    return rotary(jnp.eye(6), jnp.full(6, float(m))).T

  r3, r5 = matrix(3), matrix(5)
  np.testing.assert_allclose(r3.T @ r3, np.eye(6), atol=1e-12)
  np.testing.assert_allclose(jnp.linalg.det(r3), 1, atol=1e-12)
  np.testing.assert_allclose(r3 @ r5, matrix(8), atol=1e-12)
  np.testing.assert_allclose(r3.T, matrix(-3), atol=1e-12)
  assert abs(r3 - np.eye(6)).max() > 0.5
  # The first pair turns by m radians, the last of d = 6 by m / 10000^(4/6).
  np.testing.assert_allclose(r3[:2, 0], [np.cos(3), np.sin(3)], atol=1e-12)
  slow = 3 / 10000 ** (4 / 6)
  np.testing.assert_allclose(r3[4:, 4], [np.cos(slow), np.sin(slow)], atol=1e-12)


def test_sinusoids_turn_with_the_position(float64):
  """A shift acts on every pair as a rotation: that is why they were chosen."""
  waves = sinusoids(jnp.arange(20), 8)
  assert waves.shape == (20, 8)
  np.testing.assert_allclose(jnp.square(waves).sum(1), 4, rtol=1e-6)
  products = waves @ waves.T
  np.testing.assert_allclose(products[3:, 3:], products[:-3, :-3], atol=1e-5)
  assert len(np.unique(np.round(waves, 6), axis=0)) == 20


def test_half_precision_keeps_its_dtype_and_a_float32_softmax(key):
  x = tokens()
  module = SelfAttention(heads=2, positions='rotary', dtype=jnp.bfloat16)
  params = module.init(key, x)
  assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))
  y = module.apply(params, x)
  assert y.dtype == jnp.bfloat16
  exact = SelfAttention(heads=2, positions='rotary').apply(params, x)
  np.testing.assert_allclose(np.asarray(y, np.float32), exact, atol=0.05)
  jaxpr = str(jax.make_jaxpr(lambda x: module.apply(params, x))(x))
  exponents = [line for line in jaxpr.splitlines() if ' = exp ' in line]
  assert len(exponents) == 1 and ':f32[' in exponents[0]
  gradient = jax.grad(lambda x: module.apply(params, x).astype(jnp.float32).sum())(x)
  assert jnp.isfinite(gradient).all() and jnp.any(gradient != 0)


@pytest.mark.parametrize('layer', ['attention', 'deep_sets'])
def test_padding_changes_nothing(key, layer):
  module = {
    'attention': SelfAttention(heads=2, positions='rotary'),
    'deep_sets': DeepSets(hidden=16, features=3),
  }[layer]
  x = tokens()
  params = jax.tree.map(lambda leaf: leaf + 0.1, module.init(key, x))
  padded = jnp.concatenate([x, 100 * tokens(seed=1)], axis=1)
  mask = jnp.asarray([[True] * 6 + [False] * 6] * 2)
  expected = module.apply(params, x)
  plain, masked = (module.apply(params, padded, mask=m) for m in (None, mask))
  if layer == 'attention':
    plain, masked = plain[:, :6], masked[:, :6]
  np.testing.assert_allclose(masked, expected, atol=1e-5)
  assert abs(plain - expected).max() > 0.1


def test_deep_sets_are_invariant_and_count(key):
  x = tokens()
  module = DeepSets(hidden=16, features=3)
  params = module.init(key, x)

  def pool(x):
    return module.apply(params, x)

  assert pool(x).shape == (2, 3)
  shuffle = permutation(ORDER)
  assert equivariance_error(pool, shuffle, identity, x) < 1e-6
  assert equivariance_error(lambda x: x[:, 0], shuffle, identity, x) > 0.1
  # A set in which all occurs twice is another: a mean or a maximum could not tell.
  # Biases start at 0, so it has twice the value.
  twice = jnp.concatenate([x, x], axis=1)
  np.testing.assert_allclose(pool(twice), 2 * pool(x), rtol=1e-4, atol=1e-4)


def test_deep_sets_are_not_sums_over_tokens(key):
  """f(A + B) = f(A) + f(B) would leave out every function that rho is for."""
  x = tokens()
  module = DeepSets(hidden=16, features=3)
  params = module.init(key, x)
  whole, one, other = (module.apply(params, part) for part in (x, x[:, :3], x[:, 3:]))
  assert abs(whole - one - other).max() > 0.05


@pytest.mark.parametrize(
  'mistake, message',
  [
    (lambda x: SelfAttention(2, 'learned'), "unknown positions 'learned'; choose from"),
    (lambda x: SelfAttention(0), '0 heads'),
    (lambda x: SelfAttention(3).init(jax.random.key(0), x), '3 heads do not divide 8'),
    (lambda x: SelfAttention(8, 'rotary').init(jax.random.key(0), x), '1 is odd'),
    (
      lambda x: SelfAttention(1, 'absolute').init(jax.random.key(0), x[..., :7]),
      '7 is odd',
    ),
    (
      lambda x: SelfAttention(2).init(jax.random.key(0), x, places=jnp.arange(5)),
      r'places of shape \(5,\) for 6 tokens',
    ),
    (
      lambda x: SelfAttention(2).init(jax.random.key(0), x, mask=x[..., 0]),
      r'a mask of float32 \(2, 6\)',
    ),
    (
      lambda x: DeepSets(2, 2).init(jax.random.key(0), x, mask=x[0, :, 0] > 0),
      r'give bool \(2, 6\)',
    ),
    (lambda x: DeepSets(2, 2).init(jax.random.key(0), x[0]), 'give .batch, tokens'),
    (lambda x: rotary(x, jnp.arange(8)), 'positions of shape'),
  ],
)
def test_mistakes_are_named(mistake, message):
  with pytest.raises(UserError, match=message):
    mistake(tokens())
