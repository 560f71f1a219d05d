"""Equivariance to first order: the Lie derivative of a function along a flow.

L f(x) = d/dt at t = 0 of g_{-t} f(g_t x), by one forward-mode pass. It asks about
shifts and turns far below one pixel, to which a grid has no exact answer: the flows
interpolate by Fourier series, which are smooth in t where bilinear interpolation has a
kink at t = 0. Source: Gruver et al., "The Lie derivative for measuring learned
equivariance", arXiv:2210.02984.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from symjax.symmetry.equivariance import Apply, relative_norm
from symjax.symmetry.score import widen

# (x, t) -> g_t x, with g_0 x = x.
Flow = Callable[[jax.Array, jax.Array], jax.Array]


def lie_derivative(
  apply: Apply, flow_in: Flow, flow_out: Flow, x: jax.Array
) -> jax.Array:
  """d/dt at t = 0 of g_{-t} f(g_t x): an array like f(x), 0 for equivariant f.

  Args:
    apply: f, on [batch, ...] arrays; it must have a forward-mode derivative, as plain
      JAX has and functions with a custom VJP have not; networks of symjax have it
      under `ConvPolicy(algorithm='xla')`.
    flow_in: moves inputs, such as `rotation_flow`.
    flow_out: moves outputs; `still` for vectors, which are to be invariant.
    x: [batch, height, width, ...] inputs, taken in float32 at least.
  """
  x = widen(x)

  def moved(t: jax.Array) -> jax.Array:
    return flow_out(apply(flow_in(x, t)), -t)

  zero, one = jnp.zeros((), x.dtype), jnp.ones((), x.dtype)
  return jax.jvp(moved, (zero,), (one,))[1]


def local_equivariance_error(
  apply: Apply, flow_in: Flow, flow_out: Flow, x: jax.Array
) -> jax.Array:
  """[] |L f(x)| / |f(x)|, per unit of t: per pixel, or per radian.

  Norms are Euclidean over the whole batch; 0 where both are zero, infinite where only
  f(x) is. Arguments are those of `lie_derivative`.
  """
  return relative_norm(lie_derivative(apply, flow_in, flow_out, x), apply(widen(x)))


def still(x: jax.Array, t: jax.Array) -> jax.Array:
  """The flow that moves nothing, for outputs that are to be invariant."""
  del t
  return x


def translation_flow(
  direction: tuple[float, float], image_size: tuple[int, int] | None = None
) -> Flow:
  """Circular translation by t * `direction`, exact for band-limited periodic maps.

  At whole pixels it is `transformations.circular_translation`. The highest frequency
  of an even side has no sine of its own, so it is stationary at t = 0.

  Args:
    direction: (down, right) in pixels per unit of t.
    image_size: [height, width] of the images that `direction` is meant for; a smaller
      map moves in proportion, as behind a stride. Without it, all move alike.
  """

  def flow(x: jax.Array, t: jax.Array) -> jax.Array:
    x = widen(x)
    for axis in (0, 1):
      size = x.shape[axis + 1]
      ratio = 1 if image_size is None else size / image_size[axis]
      amount = t.astype(x.dtype)[None] * (direction[axis] * ratio)
      x = _shift_lines(x, amount, axis + 1)
    return x

  return flow


def rotation_flow(x: jax.Array, t: jax.Array) -> jax.Array:
  """Turns maps [batch, height, width, ...] about their centre, t radians clockwise.

  By three shears, each a Fourier shift of rows or columns (Unser et al., "Convolution-
  based interpolation for fast, high-quality rotation of images", 1995): smooth in t,
  inverted by -t, orthogonal on odd sides, where a quarter turn is also exact. Lines
  wrap around, so content should vanish outside the disc that stays inside.
  """
  x = widen(x)
  t = t.astype(x.dtype)
  down, right = (jnp.arange(n, dtype=x.dtype) - (n - 1) / 2 for n in x.shape[1:3])
  x = _shift_lines(x, -jnp.tan(t / 2) * down, axis=2)
  x = _shift_lines(x, jnp.sin(t) * right, axis=1)
  return _shift_lines(x, -jnp.tan(t / 2) * down, axis=2)


def _shift_lines(x: jax.Array, amount: jax.Array, axis: int) -> jax.Array:
  """Circular shifts of the lines of [batch, height, width, ...] along axis 1 or 2.

  `amount` is in pixels: [1], or one number for each place on the other spatial axis.
  """
  lines = jnp.moveaxis(x, axis, -1)  # The other spatial axis is now axis 1.
  size = lines.shape[-1]
  waves = jnp.arange(size // 2 + 1).reshape(*(1,) * (lines.ndim - 1), -1)
  amount = amount.reshape(1, -1, *(1,) * (lines.ndim - 2))
  angle = amount * (waves.astype(x.dtype) * (2 * jnp.pi / size))
  # The alternating wave of an even side is real: what an inverse transform makes of
  # an imaginary part there is left to the backend.
  sine = jnp.where(2 * waves == size, 0, jnp.sin(angle))
  turned = jnp.fft.rfft(lines) * jax.lax.complex(jnp.cos(angle), -sine)
  return jnp.moveaxis(jnp.fft.irfft(turned, size), -1, axis)
