"""Where a token is, as waves: added to it, or as turns of its channels."""

import jax
import jax.numpy as jnp
import numpy as np

from symjax.errors import UserError

_LONGEST = 1e4  # How much slower than the first the slowest wave is, in both papers.


def rotary(x: jax.Array, positions: jax.Array) -> jax.Array:
  """R_m x: every pair of channels turned by an angle proportional to the position m.

  Rotations form a group, so <R_m q, R_n k> = <q, R_{n-m} k>: an inner product sees
  the distance of two tokens alone. Channels 2i and 2i + 1 turn by m / 10000^(2i / d)
  radians (Su et al., arXiv:2104.09864, Eq. 15); angles are float32 at least.

  Args:
    x: [..., tokens, d] queries or keys of one head, d even.
    positions: [tokens], of any spacing and sign.

  Returns:
    An array like `x`.

  Raises:
    UserError: d is odd, or there is not one position a token.
  """
  if positions.shape != x.shape[-2:-1]:
    raise UserError(f'positions of shape {positions.shape} for tokens {x.shape}')
  angles = _angles(positions, x.shape[-1], 'rotary')
  cosines, sines = (
    wave(angles).astype(x.dtype).reshape(*(1,) * (x.ndim - 2), *angles.shape)
    for wave in (jnp.cos, jnp.sin)
  )
  even, odd = x[..., ::2], x[..., 1::2]
  turned = even * cosines - odd * sines, even * sines + odd * cosines
  return jnp.stack(turned, axis=-1).reshape(x.shape)


def sinusoids(positions: jax.Array, channels: int) -> jax.Array:
  """[tokens, channels] sine and cosine of every frequency at `positions` [tokens].

  Without parameters, for any length (Vaswani et al., arXiv:1706.03762, section 3.5).

  Raises:
    UserError: `channels` is odd.
  """
  angles = _angles(positions, channels, 'absolute')
  waves = jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1)
  return waves.reshape(len(positions), channels)


def _angles(positions: jax.Array, size: int, kind: str) -> jax.Array:
  """[tokens, size / 2] position times frequency, in float32 at least."""
  if size % 2:
    raise UserError(
      f'{kind} positions take pairs of channels, and {size} is odd; give an even '
      f'number (for rotary ones: in every head)'
    )
  wide = jnp.float64 if positions.dtype == jnp.float64 else jnp.float32
  frequencies = jnp.asarray(_LONGEST ** -(np.arange(0, size, 2) / size), wide)
  return positions.astype(wide)[:, None] * frequencies[None]
