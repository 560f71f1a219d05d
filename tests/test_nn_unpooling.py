"""Pooling with positions and unpooling, against a walk over the tiles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from symjax.errors import UserError
from symjax.nn import IndexedMaxPool, MaxUnpool, audit, foveation, trace

SIZES = [(4, 6), (5, 7), (1, 4)]


def draw(size, channels=3, seed=0):
  """Maps of few values, so that many pixels of a tile are equal; some are negative."""
  rng = np.random.default_rng(seed)
  return rng.integers(-2, 2, (2, *size, channels)).astype(np.float32)


def walk(x):
  """Maxima, their places in the tile, and the map with all other pixels zero."""
  batch, height, width, channels = x.shape
  rows, columns = -(-height // 2), -(-width // 2)
  maxima = np.zeros((batch, rows, columns, channels), x.dtype)
  places, kept = np.zeros(maxima.shape, np.uint8), np.zeros_like(x)
  for n, row, column, c in np.ndindex(maxima.shape):
    tile = [
      (x[n, 2 * row + i, 2 * column + j, c], -2 * i - j, (2 * row + i, 2 * column + j))
      for i in range(2)
      for j in range(2)
      if 2 * row + i < height and 2 * column + j < width
    ]
    value, place, (i, j) = max(tile)  # The first in reading order of equal ones.
    maxima[n, row, column, c] = kept[n, i, j, c] = value
    places[n, row, column, c] = -place
  return maxima, places, kept


def unpool(values, positions, size):
  return MaxUnpool().apply({}, values, positions, size)


def pool(x):
  return IndexedMaxPool().apply({}, x)


@jax.jit
def run(x, along, beside):
  """There, back, and there again; the derivatives of both ways."""
  size = x.shape[1:3]
  maxima, pull, positions = jax.vjp(pool, x, has_aux=True)
  whole, pull_back = jax.vjp(lambda v: unpool(v, positions, size), along)
  return {
    'maxima': maxima,
    'positions': positions,
    'kept': unpool(maxima, positions, size),
    'again': pool(unpool(1 + jnp.abs(along), positions, size)),
    'whole': whole,
    'to map': pull(along)[0],
    'to values': pull_back(beside)[0],
  }


@pytest.fixture(params=SIZES, scope='module')
def case(request):
  """A map, numbers beside its maxima and beside its pixels, and what comes of them."""
  tiles = tuple(-(-side // 2) for side in request.param)
  x, along = draw(request.param), draw(tiles, seed=1)
  beside = draw(request.param, seed=2)
  return x, along, beside, jax.device_get(run(x, along, beside))


def test_maxima_come_back_to_their_positions_and_all_else_is_zero(case):
  x, _, _, found = case
  maxima, places, kept = walk(x)
  assert found['positions'].dtype == np.uint8
  np.testing.assert_array_equal(found['maxima'], maxima)
  np.testing.assert_array_equal(found['positions'], places)
  np.testing.assert_array_equal(found['kept'], kept)


def test_pooling_what_was_unpooled_gives_it_back(case):
  """Where that is above the zeros around it."""
  _, along, _, found = case
  values, positions = found['again']
  np.testing.assert_array_equal(values, 1 + np.abs(along))
  np.testing.assert_array_equal(positions, found['positions'])


def test_gradients_go_to_the_positions_and_come_from_there(case):
  _, along, beside, found = case
  n, row, column, c = np.indices(along.shape)
  i, j = np.divmod(found['positions'], 2)
  at = (n, 2 * row + i, 2 * column + j, c)
  expected = np.zeros_like(beside)
  expected[at] = along
  np.testing.assert_array_equal(found['to map'], expected)
  np.testing.assert_array_equal(found['whole'], expected)
  np.testing.assert_array_equal(found['to values'], beside[at])


def test_vmap_and_devices_change_nothing():
  x = np.concatenate([draw((5, 6), seed=seed) for seed in (0, 1)])

  def one(image):
    pooled, positions = pool(image[None])
    return unpool(pooled, positions, (5, 6))[0]

  mesh = Mesh(np.array(jax.devices()), ('batch',))
  split = NamedSharding(mesh, PartitionSpec('batch'))
  program = jax.jit(jax.vmap(one), in_shardings=split, out_shardings=split)
  program = program.lower(x).compile()
  np.testing.assert_array_equal(program(x), walk(x)[2])
  assert not any(word in program.as_text() for word in ('gather', 'scatter', 'all-'))


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float64])
def test_types_are_kept(float64, dtype):
  x = jax.ShapeDtypeStruct((1, 5, 6, 2), dtype)
  pooled, positions = jax.eval_shape(pool, x)
  whole = jax.eval_shape(lambda v, p: unpool(v, p, (5, 6)), pooled, positions)
  assert (pooled.dtype, positions.dtype, whole.dtype) == (dtype, jnp.uint8, dtype)


def test_a_map_of_another_number_of_tiles_is_refused():
  values, positions = np.zeros((1, 2, 3, 1), np.float32), np.zeros((1, 2, 3, 1), 'u1')
  with pytest.raises(UserError, match='2x3 pooled values do not unpool to a 5x6 map'):
    MaxUnpool().apply({}, values, positions, (5, 6))


class ThereAndBack(nn.Module):
  """A pooling and its unpooling."""

  @nn.compact
  def __call__(self, x):
    pooled, positions = IndexedMaxPool(name='pool')(x)
    return MaxUnpool(name='unpool')(pooled, positions, x.shape[1:3])


def test_the_layer_table_has_the_pooling():
  (layer,) = trace(ThereAndBack(), (5, 6, 4))
  assert (layer.name, layer.kind, layer.strided) == ('pool', 'max_pool', True)
  assert layer.output_shape == (3, 3, 4)
  assert layer.window.output_size((5, 6)) == (3, 3)


def test_cut_tiles_are_uneven():
  (row,) = audit(ThereAndBack(), (5, 6, 1)).layers
  assert row.even == (False, True)
  assert row.even_sizes == ((4, 6), (6,))


def test_any_pixel_of_a_tile_is_read_for_all_of_it():
  np.testing.assert_allclose(foveation(ThereAndBack(), (4, 6, 2)), np.ones((4, 6)))
