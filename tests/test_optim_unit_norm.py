import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optim_walks import SPHERICAL, assert_close, gaussian, gradients_like, kernels, walk

from symjax.errors import UserError
from symjax.optim import (
  largest_departure,
  normalize_filters,
  project_to_tangent,
  retract_update,
  riemannian_sgd,
  scaled_metric,
  tangent_trace,
  unit_norm,
)


@pytest.fixture(params=['float32', 'float64'])
def dtype(request):
  with jax.enable_x64(request.param == 'float64'):
    yield np.dtype(request.param)


@pytest.fixture(scope='module')
def manifolds():
  """Pymanopt's, whose import turns 64-bit types on for everybody."""
  import pymanopt.manifolds

  jax.config.update('jax_enable_x64', False)
  return pymanopt.manifolds


def columns(kernel):
  """[taps, filters] in float64, whatever the rank of a kernel."""
  return np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1])


def eq2(w, gradient, rate):
  """Document B's Eq. 2, one filter after the other."""
  moved = np.empty_like(w)
  for i in range(w.shape[1]):
    straight = w[:, i] - rate * (gradient[:, i] - (w[:, i] @ gradient[:, i]) * w[:, i])
    moved[:, i] = straight / np.linalg.norm(straight)
  return moved


@pytest.mark.parametrize('rate', [0.01, 0.3, 10.0])
@pytest.mark.parametrize(
  'make', [lambda rate: unit_norm(optax.sgd(rate)), riemannian_sgd]
)
def test_plain_sgd_is_eq_2(dtype, make, rate):
  expected = jax.tree.map(columns, kernels(dtype))
  for step, params in enumerate(walk(make(rate), kernels(dtype), 5)):
    gradients = jax.tree.map(columns, gradients_like(params, step + 1))
    expected = jax.tree.map(lambda w, g: eq2(w, g, rate), expected, gradients)
    atol = 1e-12 if dtype == np.float64 else 1e-6
    assert_close(jax.tree.map(columns, params), expected, atol)


@pytest.mark.parametrize('rate', [0.01, 0.3, 10.0])
@pytest.mark.parametrize(
  'make', [lambda rate: unit_norm(optax.sgd(rate)), riemannian_sgd]
)
def test_another_library_takes_the_same_steps(manifolds, dtype, make, rate):
  """Pymanopt's oblique manifold, whose points are matrices of unit columns."""
  expected = jax.tree.map(columns, kernels(dtype))
  for step, params in enumerate(walk(make(rate), kernels(dtype), 5)):
    gradients = jax.tree.map(columns, gradients_like(params, step + 1))

    def descend(w, gradient):
      manifold = manifolds.Oblique(*w.shape)
      return manifold.retraction(w, -rate * manifold.projection(w, gradient))

    expected = jax.tree.map(descend, expected, gradients)
    atol = 1e-12 if dtype == np.float64 else 1e-6
    assert_close(jax.tree.map(columns, params), expected, atol)


def riemannian_momentum(w, gradients, rate, decay):
  """Riemannian SGD of one filter [n], by projection matrices I - w w^T."""
  momentum, path = np.zeros_like(w), []
  for gradient in gradients:
    projection = np.eye(len(w)) - np.outer(w, w)
    momentum = decay * projection @ momentum + projection @ gradient
    step = -rate * momentum
    w = (w + step) / np.sqrt(1 + step @ step)  # Pythagoras: the step is tangent.
    path.append(w)
  return np.array(path)


@pytest.mark.parametrize('decay', [0.0, 0.9])
def test_momentum_is_transported(dtype, decay):
  start, rate, steps = kernels(dtype), 0.05, 8
  path = walk(riemannian_sgd(rate, decay), start, steps)
  for layer in ('conv', 'dense'):
    w = columns(start[layer]['kernel'])
    gradients = np.stack(
      [columns(gradients_like(start, 1 + t)[layer]['kernel']) for t in range(steps)]
    )
    found = np.stack([columns(params[layer]['kernel']) for params in path])
    for i in range(w.shape[1]):
      expected = riemannian_momentum(w[:, i], gradients[..., i], rate, decay)
      atol = 1e-12 if dtype == np.float64 else 1e-6
      np.testing.assert_allclose(found[..., i], expected, atol=atol)


def test_the_transported_buffer_is_tangent(float64):
  params = kernels(np.float64)
  link = tangent_trace(0.9)
  state = link.init(params)
  for step in range(1, 4):
    updates, state = link.update(gradients_like(params, step), state, params)
    radial = jax.tree.map(lambda w, m: (w * m).sum(range(w.ndim - 1)), params, updates)
    assert_close(radial, jax.tree.map(jnp.zeros_like, radial), 1e-14)
    assert_close(updates, state.trace, 0)
    params = kernels(np.float64, seed=10 * step)  # Anywhere else on the spheres.


def test_ambient_and_transported_momentum_differ(float64):
  """They agree for two steps: a vector is then transported once at most."""
  start = kernels(np.float64)
  ambient = walk(unit_norm(optax.sgd(0.05, 0.9)), start, 3)
  transported = walk(riemannian_sgd(0.05, 0.9), start, 3)
  assert_close(ambient[1], transported[1], 1e-14)
  gap = jnp.abs(ambient[2]['conv']['kernel'] - transported[2]['conv']['kernel'])
  assert gap.max() > 1e-4


def test_steps_are_tangent_whatever_the_base_does(float64):
  """Radial pushes of the base, such as decoupled weight decay, move nothing."""
  start = kernels(np.float64)
  base = optax.chain(optax.sgd(0.1), optax.add_decayed_weights(-0.05))
  assert_close(
    walk(unit_norm(base), start, 4), walk(riemannian_sgd(0.1), start, 4), 1e-14
  )
  radial = walk(riemannian_sgd(0.1), start, 4, lambda params, _: params)
  assert_close(radial[-1], start, 1e-14)


@pytest.mark.parametrize('size', [1e-3, 30.0, 1e3, 1e8])
@pytest.mark.parametrize('name', SPHERICAL)
def test_radial_gradients_leave_the_filters_on_the_sphere(name, size):
  def radial(params, _):
    return jax.tree.map(lambda w: size * w, params)

  for params in walk(SPHERICAL[name], kernels(), 5, radial):
    assert largest_departure(params) < 1e-6


@pytest.mark.parametrize('name', SPHERICAL)
def test_a_spike_does_not_take_filters_off_the_sphere(name):
  """After a huge step the momentum is huge and radial, where norms cancel."""

  def spike(params, step):
    size = 1e6 if step == 2 else 1e-3
    return jax.tree.map(lambda g: size * g, gradients_like(params, step))

  for params in walk(SPHERICAL[name], kernels(), 6, spike):
    assert largest_departure(params) < 1e-6


@pytest.mark.parametrize('radial', [0.0, 1.0, 3.0, 30.0, 3e3])
def test_norms_are_known_beside_any_radial_part(radial):
  """The norm is foreseen without the digits that a long radial part would cancel."""

  def mixed(params, step):
    tangent = gradients_like(params, step)
    return jax.tree.map(lambda w, g: radial * w + 0.1 * g, params, tangent)

  start = kernels()
  path = walk(riemannian_sgd(1.0), start, 3, mixed)
  for params in path:
    assert largest_departure(params) < 3e-7
  with jax.enable_x64(True):
    precise = walk(
      riemannian_sgd(1.0),
      normalize_filters(jax.tree.map(lambda w: np.asarray(w, np.float64), start)),
      3,
      mixed,
    )
  assert_close(path, precise, 1e-6 * (1 + radial))


def drift(optimizer, params, gradient_dtype, steps=10_000):
  """The largest departure from the sphere after any of the steps."""

  def step(carry, key):
    params, state, worst = carry
    gradients = jax.tree.map(
      lambda w: jax.random.normal(key, w.shape, gradient_dtype), params
    )
    updates, state = optimizer.update(gradients, state, params)
    params = optax.apply_updates(params, updates)
    return (params, state, jnp.maximum(worst, largest_departure(params))), None

  keys = jax.random.split(jax.random.key(0), steps)
  start = (params, optimizer.init(params), jnp.float32(0))
  (params, _, worst), _ = jax.jit(lambda start: jax.lax.scan(step, start, keys))(start)
  norms = np.linalg.norm(columns(params['kernel']), axis=0)
  return max(float(worst), np.abs(norms - 1).max())


@pytest.mark.parametrize(
  'optimizer',
  [
    unit_norm(optax.sgd(0.01)),
    riemannian_sgd(0.01, 0.9),
    unit_norm(optax.sgd(1.0, 0.9)),
  ],
)
def test_norms_do_not_drift(optimizer):
  params = {'kernel': kernels()['conv']['kernel']}
  assert drift(optimizer, params, jnp.bfloat16) < 1e-6


def test_bfloat16_parameters_stay_as_near_as_they_can():
  params = {'kernel': kernels()['conv']['kernel'].astype(jnp.bfloat16)}
  for gradient_dtype in (jnp.bfloat16, jnp.float32):
    assert drift(riemannian_sgd(0.01, 0.9), params, gradient_dtype, 100) < 4e-3


def test_adam_keeps_ambient_buffers_and_the_sphere(standard_promotion):
  start = kernels()
  optimizer = unit_norm(optax.adam(0.05))
  adam = optax.tree.get(optimizer.init(start), 'mu')
  assert jax.tree.map(jnp.shape, adam) == jax.tree.map(jnp.shape, start)
  for params in walk(optimizer, start, 20):
    assert largest_departure(params) < 1e-6
  # It descends: to the filter that the loss asks for.
  target = kernels(seed=5)
  end = walk(
    unit_norm(optax.adam(0.01)),
    start,
    400,
    lambda params, _: jax.tree.map(lambda w, t: w - t, params, target),
  )[-1]
  assert_close(end, target, 0.02)


@pytest.mark.parametrize('axes', [(0, 1, 2), (1, 2, 3), (-1, -2)])
def test_filters_along_any_axes(float64, axes):
  start = normalize_filters({'k': gaussian((3, 4, 2, 5), 0, np.float64)}, axes)
  for params in walk(unit_norm(optax.sgd(0.3), axes), start, 3):
    assert largest_departure(params, axes) < 1e-15
  assert_close(normalize_filters(start, axes), start, 1e-15)


@pytest.mark.parametrize(
  'link',
  [
    project_to_tangent(),
    tangent_trace(0.9),
    retract_update(),
    scaled_metric(),
    unit_norm(optax.sgd(0.1)),
    riemannian_sgd(0.1),
  ],
)
def test_updating_without_parameters_is_refused(link):
  params = kernels()
  with pytest.raises(UserError, match=r'call update\(gradients, state, params\)'):
    link.update(params, link.init(params))
