import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from symjax.errors import UserError
from symjax.optim import (
  largest_departure,
  normalize_filters,
  oblique,
  project_to_tangent,
  retract_update,
  riemannian_sgd,
  scaled_metric,
  tangent_trace,
  unit_norm,
)

CONV, DENSE = (0, 1, 2), (0,)


@pytest.fixture(params=['float32', 'float64'])
def dtype(request):
  with jax.enable_x64(request.param == 'float64'):
    yield np.dtype(request.param)


def gaussian(shape, seed, dtype=np.float32):
  return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def kernels(dtype=np.float32, seed=0):
  """Points on spheres: a convolution and a dense kernel."""
  return normalize_filters(
    {
      'conv': {'kernel': gaussian((3, 3, 4, 8), seed, dtype)},
      'dense': {'kernel': gaussian((20, 6), seed + 1, dtype)},
    }
  )


def gradients_like(params, step):
  """Gaussian gradients that depend on the step and a parameter's size alone."""
  return jax.tree.map(
    lambda leaf: gaussian(leaf.shape, 1000 * step + leaf.size, leaf.dtype), params
  )


def walk(optimizer, params, steps, gradients=gradients_like):
  """The parameters after each step."""
  state, path = optimizer.init(params), []

  @jax.jit
  def move(params, state, gradients):
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state

  for step in range(steps):
    params, state = move(params, state, gradients(params, step + 1))
    path.append(params)
  return path


def columns(kernel):
  """[taps, filters] in float64, whatever the rank of a kernel."""
  return np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1])


def assert_close(found, expected, atol):
  for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(a, b, atol=atol, rtol=0)


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


@pytest.mark.parametrize('size', [1e-3, 1e3, 1e8])
def test_radial_gradients_leave_the_filters_on_the_sphere(size):
  path = walk(
    unit_norm(optax.sgd(0.1, 0.9)),
    kernels(),
    5,
    lambda params, _: jax.tree.map(lambda w: size * w, params),
  )
  for params in path:
    assert largest_departure(params) < 1e-6


def test_a_spike_does_not_take_filters_off_the_sphere():
  """After a huge step the momentum is huge and radial, where norms cancel."""

  def spike(params, step):
    size = 1e6 if step == 2 else 1e-3
    return jax.tree.map(lambda g: size * g, gradients_like(params, step))

  for optimizer in (unit_norm(optax.sgd(0.1, 0.9)), riemannian_sgd(0.1, 0.9)):
    for params in walk(optimizer, kernels(), 6, spike):
      assert largest_departure(params) < 1e-6


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


def network(params, images, labels):
  """Cross entropy of two layers under exact batch normalisation (eps = 0)."""

  def normalized(h):
    h = h - h.mean(0, keepdims=True)
    return h / jnp.sqrt(jnp.square(h).mean(0, keepdims=True))

  h = jax.nn.relu(normalized(images @ params['first']))
  h = jax.nn.relu(normalized(h @ params['second']))
  logits = h @ params['theta']
  return optax.softmax_cross_entropy_with_integer_labels(logits, labels).sum()


SCALES = {'first': 6, 'second': 5}  # Filters of the layers that normalisation follows.


@pytest.fixture
def problem(float64):
  """Parameters [in, out], scales of the filters, and gradients of a batch."""
  params = {
    name: gaussian(shape, seed, np.float64)
    for seed, (name, shape) in enumerate(
      {'first': (8, 6), 'second': (6, 5), 'theta': (5, 3)}.items()
    )
  }
  numbers = np.random.default_rng(7)
  scales = {name: numbers.uniform(0.1, 10, (1, n)) for name, n in SCALES.items()}
  batch = gaussian((12, 8), 8, np.float64), jnp.asarray(numbers.integers(0, 3, 12))
  gradients = jax.jit(jax.grad(lambda params: network(params, *batch)))
  return params, scales, batch, lambda params, _: gradients(params)


def scaled(params, scales):
  return params | {name: params[name] * scale for name, scale in scales.items()}


def on_spheres(params):
  return {name: name in SCALES for name in params}


def labelled(sphere):
  """`sphere` for the normalised layers, plain SGD for the classifier."""
  return optax.partition({True: sphere, False: optax.sgd(0.05)}, on_spheres)


def test_the_loss_ignores_positive_scales_of_filters(problem):
  params, scales, batch, _ = problem
  loss = network(params, *batch)
  np.testing.assert_allclose(network(scaled(params, scales), *batch), loss, rtol=1e-12)
  # Negative ones change it: BN(-h) = -BN(h).
  mirrored = network(scaled(params, {'first': -1.0}), *batch)
  assert abs(mirrored - loss) > 0.1


def test_under_exact_normalisation_the_projection_has_nothing_to_do(problem):
  """w . grad = 0: what distinguishes the unit norm there is the renormalisation."""
  params, _, _, gradients = problem
  params = normalize_filters(params, mask=on_spheres)
  gradient = gradients(params, 0)
  for name in SCALES:
    radial = oblique.inner(params[name], gradient[name], 0)
    assert np.abs(radial).max() < 1e-12 < 1e-2 < np.abs(gradient[name]).max()
    projected = oblique.to_tangent(params[name], gradient[name], 0)
    np.testing.assert_allclose(projected, gradient[name], atol=1e-12)
  only_renormalise = optax.chain(optax.sgd(0.05), retract_update())
  assert_close(
    walk(labelled(only_renormalise), params, 4, gradients),
    walk(labelled(unit_norm(optax.sgd(0.05))), params, 4, gradients),
    1e-12,
  )
  assert np.abs(oblique.inner(params['theta'], gradient['theta'], 0)).max() > 1e-2


def test_unit_norm_does_not_see_scales_and_plain_sgd_does(problem):
  params, scales, _, gradients = problem
  rescaled = scaled(params, scales)
  optimizer = labelled(unit_norm(optax.sgd(0.05, 0.9)))
  paths = [
    walk(optimizer, normalize_filters(start, mask=on_spheres), 10, gradients)
    for start in (params, rescaled)
  ]
  assert_close(*paths, 1e-10)
  assert np.abs(paths[0][0]['theta'] - paths[0][-1]['theta']).max() > 1e-2
  # Plain SGD from scaled filters goes elsewhere, also up to scale.
  plain = [
    normalize_filters(walk(optax.sgd(0.05), start, 10, gradients)[-1], mask=on_spheres)
    for start in (params, rescaled)
  ]
  for name in SCALES:
    assert oblique.distance(plain[0][name], plain[1][name], 0).max() > 1e-2


def test_scaled_metric_takes_the_scaled_trajectory(problem):
  params, scales, _, gradients = problem
  optimizer = labelled(optax.chain(scaled_metric(), optax.sgd(0.02, 0.9)))
  path = walk(optimizer, params, 10, gradients)
  from_scaled = walk(optimizer, scaled(params, scales), 10, gradients)
  for ours, theirs in zip(path, from_scaled, strict=True):
    for name, value in scaled(ours, scales).items():
      np.testing.assert_allclose(theirs[name], value, rtol=1e-9)
  assert oblique.distance(*(normalize_filters(p, mask=on_spheres)['first']
                            for p in (params, path[-1])), 0).max() > 1e-2  # fmt: skip


def test_scaled_metric_multiplies_by_the_squared_norm():
  params = {'kernel': jnp.array([[3.0, 1.0], [4.0, 0.0]])}
  ones = jax.tree.map(jnp.ones_like, params)
  updates, _ = scaled_metric().update(ones, scaled_metric().init(params), params)
  np.testing.assert_allclose(updates['kernel'], [[25, 1], [25, 1]])


def test_in_a_chain_what_comes_before_is_seen(float64):
  start = kernels(np.float64)
  clipped = walk(
    optax.chain(optax.clip_by_global_norm(1.0), unit_norm(optax.sgd(0.1))), start, 3
  )

  def clip(params, step):
    gradients = gradients_like(params, step)
    norm = optax.tree.norm(gradients)
    return jax.tree.map(lambda g: g / norm, gradients)

  assert_close(clipped, walk(unit_norm(optax.sgd(0.1)), start, 3, clip), 1e-14)


def test_a_partition_leaves_the_other_parameters_alone(float64):
  start = {**kernels(np.float64), 'bias': gaussian((6,), 9, np.float64)}
  labels = {'conv': 'sphere', 'dense': 'flat', 'bias': 'flat'}
  optimizer = optax.partition(
    {'sphere': unit_norm(optax.sgd(0.1)), 'flat': optax.sgd(0.2)}, labels
  )
  expected = walk(optax.sgd(0.2), start, 3)[-1]
  expected['conv'] = walk(unit_norm(optax.sgd(0.1)), {'conv': start['conv']}, 3)[-1][
    'conv'
  ]
  assert_close(walk(optimizer, start, 3)[-1], expected, 1e-14)


def test_one_masked_link_at_a_time(float64):
  start = kernels(np.float64)
  mask = {'conv': True, 'dense': False}
  links = (project_to_tangent(), optax.sgd(0.1), retract_update())
  masked = optax.chain(
    optax.masked(links[0], mask), links[1], optax.masked(links[2], mask)
  )
  expected = {
    'conv': walk(riemannian_sgd(0.1), start, 3)[-1]['conv'],
    'dense': walk(optax.sgd(0.1), start, 3)[-1]['dense'],
  }
  assert_close(walk(masked, start, 3)[-1], expected, 1e-14)


def test_rates_can_be_injected_and_scheduled():
  start = kernels()
  expected = walk(riemannian_sgd(0.1, 0.9), start, 1)
  inside = unit_norm(optax.inject_hyperparams(optax.sgd)(0.1, 0.9))
  outside = optax.inject_hyperparams(riemannian_sgd)(0.1, 0.9)
  scheduled = riemannian_sgd(optax.constant_schedule(0.1), 0.9)
  for optimizer in (inside, outside, scheduled):
    assert_close(walk(optimizer, start, 1), expected, 1e-7)
    assert jax.tree.leaves(optimizer.init(start))
  state = outside.init(start)
  state.hyperparams['learning_rate'] = jnp.float32(0)
  updates, _ = outside.update(gradients_like(start, 1), state, start)
  assert_close(updates, jax.tree.map(jnp.zeros_like, start), 2e-7)


def test_extra_arguments_reach_the_base():
  polyak = optax.polyak_sgd(max_learning_rate=0.1)
  params = kernels()
  optimizer = unit_norm(polyak)
  state = optimizer.init(params)
  gradients = gradients_like(params, 1)
  updates, _ = optimizer.update(gradients, state, params, value=1e9)
  expected, _ = riemannian_sgd(0.1).update(
    gradients, riemannian_sgd(0.1).init(params), params
  )
  assert_close(updates, expected, 1e-6)


def test_jit_and_vmap_give_the_same_numbers(float64):
  optimizer = unit_norm(optax.sgd(0.1, 0.9))
  runs = [kernels(np.float64, seed) for seed in (0, 10, 20)]
  together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *runs)

  def two_steps(params):
    state = optimizer.init(params)
    for _ in range(2):
      gradients = jax.tree.map(jnp.cos, params)
      updates, state = optimizer.update(gradients, state, params)
      params = optax.apply_updates(params, updates)
    return params

  plain = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(two_steps, runs))
  assert_close(jax.jit(jax.vmap(two_steps))(together), plain, 1e-14)


@pytest.mark.parametrize('split', ['in', 'out'])
def test_sharded_parameters_give_the_same_numbers(float64, split):
  """Filters apart from each other, and filters in pieces."""
  mesh = jax.make_mesh((4,), (split,), axis_types=(jax.sharding.AxisType.Auto,))
  names = {'in': (None, None, 'in', None), 'out': (None, None, None, 'out')}[split]
  sharding = jax.NamedSharding(mesh, jax.sharding.PartitionSpec(*names))
  start = {'kernel': kernels(np.float64)['conv']['kernel']}
  gradients = gradients_like(start, 1)
  optimizer = riemannian_sgd(0.1, 0.9)

  @jax.jit
  def step(params, state, gradients):
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates)

  spread = jax.device_put(start, sharding)
  landed = step(spread, optimizer.init(spread), jax.device_put(gradients, sharding))
  assert len(landed['kernel'].sharding.device_set) == 4
  assert_close(landed, step(start, optimizer.init(start), gradients), 1e-14)


def test_the_state_can_be_mapped_like_that_of_any_optimiser():
  params = kernels()
  for optimizer in (unit_norm(optax.sgd(0.1, 0.9)), riemannian_sgd(0.1, 0.9)):
    state = optimizer.init(params)
    halves = optax.tree.map_params(optimizer, lambda leaf: leaf + 0.5, state)
    assert_close(jax.tree.leaves(halves), jax.tree.map(lambda _: 0.5, [0, 0]), 0)


@pytest.mark.parametrize('axes', [CONV, (1, 2, 3), (-1, -2)])
def test_filters_along_any_axes(float64, axes):
  start = normalize_filters({'k': gaussian((3, 4, 2, 5), 0, np.float64)}, axes)
  for params in walk(unit_norm(optax.sgd(0.3), axes), start, 3):
    assert largest_departure(params, axes) < 1e-15
  assert_close(normalize_filters(start, axes), start, 1e-15)


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


def test_ranks_without_a_default_and_axes_that_do_not_fit_are_named():
  vector = {'norm': {'scale': jnp.ones(4)}}
  with pytest.raises(UserError, match='^norm/scale: no filters are known for rank 1'):
    unit_norm(optax.sgd(0.1)).init(vector)
  with pytest.raises(UserError, match='^norm/scale: filter axes .* rank 1'):
    riemannian_sgd(0.1, filter_axes=CONV).init(vector)
  with pytest.raises(UserError, match='^parameter: filter axes'):
    functools.partial(jax.jit, unit_norm(optax.sgd(0.1), DENSE).init)()(jnp.ones(()))
