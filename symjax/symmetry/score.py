"""S(K), the symmetry of a kernel, and the direction in which it leans.

Source: Alsallakh et al., "On symmetries in convolutional weights", Eq. 1. The
spatial axes come first: functions act on the first two axes of `[h, w, ...]`.
"""

import jax
import jax.numpy as jnp

from symjax.errors import UserError
from symjax.symmetry.d4 import acting_group


def widen(array: jax.typing.ArrayLike) -> jax.Array:
  """`array` in float64 if it is float64, else in float32."""
  array = jnp.asarray(array)
  wide = jnp.float64 if array.dtype == jnp.float64 else jnp.float32
  return array.astype(wide)


def spatial_axes(layout: str, rank: int) -> tuple[int, int]:
  """The positions of H and W in `layout`, which names the axes of a kernel.

  Raises:
    UserError: `layout` is not one letter an axis with one H and one W.
  """
  if len(layout) != rank or layout.count('H') != 1 or layout.count('W') != 1:
    raise UserError(
      f'layout {layout!r} does not fit a kernel of rank {rank}: give one letter an '
      f'axis, with one H and one W, such as HWIO (Flax) or OIHW (PyTorch)'
    )
  return layout.index('H'), layout.index('W')


def spatial_first(kernel: jax.Array, layout: str) -> jax.Array:
  """[h, w, ...] view of a kernel stored in `layout`."""
  return jnp.moveaxis(kernel, spatial_axes(layout, kernel.ndim), (0, 1))


def mean_kernel(kernel: jax.Array, layout: str = 'HWIO') -> jax.Array:
  """[h, w] mean of a layer's kernels over its inputs and outputs.

  The mean is over all axes but H and W, so one function serves every kind of
  convolution: plain (Flax HWIO, PyTorch OIHW), depthwise and grouped (I is the
  inputs of one group), transposed (PyTorch IOHW, Flax HWIO). It accumulates in
  float32 at least, also where the weights are bfloat16 or float16.

  Args:
    kernel: the layer's weights.
    layout: one letter an axis; H and W are the spatial ones, the others are free.

  Raises:
    UserError: `layout` is not one letter an axis with one H and one W.
  """
  kernel = spatial_first(jnp.asarray(kernel), layout)
  return widen(kernel).mean(axis=tuple(range(2, kernel.ndim)))


def is_zero(kernel: jax.Array) -> jax.Array:
  """[...] whether a [h, w, ...] kernel is zero, and so has no score.

  Numbers below the smallest normal one count as zero: processors flush them.
  NaN is not zero.
  """
  kernel = widen(kernel)
  return jnp.abs(kernel).max(axis=(0, 1)) < jnp.finfo(kernel.dtype).tiny


def _rescale(kernel: jax.Array) -> jax.Array:
  """`kernel` in units of its largest magnitude; a zero kernel stays zero.

  Squares of 1e-30 or 1e30 leave float32. The unit is a constant to the gradient:
  what follows does not depend on it.
  """
  kernel = widen(kernel)
  # XLA multiplies by the unit's reciprocal, which is flushed to 0 at 1e38: come
  # closer to 1 first, by an exact power of two.
  large = (jnp.abs(kernel).max(axis=(0, 1)) > 1)[None, None]
  kernel = jnp.where(large, kernel * 2.0**-64, kernel * 2.0**64)
  unit = jnp.where(is_zero(kernel), 1, jnp.abs(kernel).max(axis=(0, 1)))
  return kernel / jax.lax.stop_gradient(unit)[None, None]


def unit_kernel(kernel: jax.Array) -> jax.Array:
  """[h, w, ...] kernel over its Frobenius norm; a zero kernel stays as it is."""
  kernel = _rescale(kernel)
  squares = jnp.square(kernel).sum(axis=(0, 1))
  return kernel / jnp.sqrt(jnp.where(squares == 0, 1, squares))[None, None]


@jax.jit
def _square_distances(taps: jax.Array, permutations: jax.Array) -> jax.Array:
  """[|T|, ...] squared distances that [|T|, n] permutations move [n, ...] taps."""

  # Tap by tap: XLA's CPU backend sums over a leading axis four times slower.
  def add_tap(
    squares: jax.Array, tap_and_images: tuple[jax.Array, jax.Array]
  ) -> tuple[jax.Array, None]:
    tap, images = tap_and_images
    moved = jnp.take(taps, images, axis=0, mode='clip') - tap[None]
    return squares + jnp.square(moved), None

  start = jnp.zeros((len(permutations), *taps.shape[1:]), taps.dtype)
  return jax.lax.scan(add_tap, start, (taps, permutations.T))[0]


def distances(kernel: jax.Array) -> dict[str, jax.Array]:
  """How far each symmetry moves a kernel: ||T(K^) - K^||_F, K^ = K / ||K||_F.

  A distance is in [0, 2], does not depend on the kernel's scale, and is NaN for a
  zero or non-finite kernel. Its gradient is 0 where the distance is 0 and where the
  kernel is zero.

  Args:
    kernel: [h, w, ...] array, measured in float32 at least.

  Returns:
    element name -> [...] array, for the elements of `d4.group_of(h, w)`.

  Raises:
    UserError: `kernel` is 1x1 or has no two axes.
  """
  group = acting_group(kernel)
  unit = unit_kernel(kernel)
  taps = unit.reshape(-1, *unit.shape[2:])
  squares = _square_distances(taps, group.permutations)
  # The root has no derivative at 0: keep 0 away from it on both sides of `where`.
  still = squares == 0
  lengths = jnp.where(still, 0, jnp.sqrt(jnp.where(still, 1, squares)))
  lengths = jnp.where(is_zero(kernel)[None], jnp.nan, lengths)
  return dict(zip(group.elements, lengths, strict=True))


def score(kernel: jax.Array) -> jax.Array:
  """[...] symmetry S(K) of a kernel: 1 - (mean distance) / 2 (Eq. 1).

  1 is full symmetry. The mean is over the group without the identity: 7 elements of
  D4 for squares, 3 for rectangles, the 1 flip of a line; so S >= 1 - sqrt(4/7) =
  0.244, 1 - sqrt(2/3) = 0.184 and 0. Random kernels are not at the floor: see
  `random_band`. A zero kernel has the value NaN and the gradient 0, so that `where`
  can mask it; a kernel with NaN or infinity has the value NaN.

  Args:
    kernel: [h, w, ...] array; Flax's HWIO gives the [in, out] scores of the single
      kernels, `score(mean_kernel(kernel))` the score of the layer.

  Raises:
    UserError: `kernel` is 1x1 or has no two axes.
  """
  return 1 - jnp.stack(list(distances(kernel).values())).mean(axis=0) / 2


def skew(kernel: jax.Array) -> jax.Array:
  """[2, ...] centroid (dy, dx) of |K| about the kernel's centre.

  In taps, positive down and right. NaN for a zero or non-finite kernel. Uneven
  padding of strided layers shows as a skew along the diagonal, away from the side
  that sees no padding.

  Args:
    kernel: [h, w, ...] array.
  """
  mass = jnp.abs(_rescale(kernel))
  total = jnp.where(is_zero(kernel), jnp.nan, mass.sum(axis=(0, 1)))
  rows, columns = (
    jnp.arange(n, dtype=mass.dtype) - (n - 1) / 2 for n in mass.shape[:2]
  )
  down = jnp.tensordot(rows, mass.sum(axis=1), 1) / total
  right = jnp.tensordot(columns, mass.sum(axis=0), 1) / total
  return jnp.stack([down, right])
