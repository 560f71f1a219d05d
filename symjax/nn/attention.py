"""Self-attention, which does not know the order of its tokens until it is told."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen import dtypes
from flax.typing import Dtype

from symjax.errors import UserError
from symjax.nn.positions import rotary, sinusoids

POSITIONS = ('none', 'absolute', 'rotary')


class SelfAttention(nn.Module):
  """Multi-head self-attention (Vaswani et al., arXiv:1706.03762).

  Without positions it is equivariant to permutations of the tokens. The parameters are
  the same for every kind of position: dense layers `query`, `key`, `value` and `out`.

  Attributes:
    heads: number of heads, which divides the channels.
    positions: 'none'; 'absolute' adds `sinusoids` to the tokens, so that attention
      depends on where each is; 'rotary' turns queries and keys (`rotary`), so that it
      depends on how far they are from each other.
    dtype: of the computation, but for the softmax, which is in float32 at least. The
      parameters are held in `param_dtype`.

  Raises:
    UserError: unknown positions, no head.
  """

  heads: int
  positions: str = 'none'
  dtype: Dtype | None = None
  param_dtype: Dtype = jnp.float32

  def __post_init__(self) -> None:
    super().__post_init__()
    if self.positions not in POSITIONS:
      raise UserError(
        f'unknown positions {self.positions!r}; choose from {", ".join(POSITIONS)}'
      )
    if self.heads < 1:
      raise UserError(f'{self.heads} heads; attention has 1 or more')

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    mask: jax.Array | None = None,
    places: jax.Array | None = None,
  ) -> jax.Array:
    """Attends from every token to every token.

    Args:
      x: [batch, tokens, channels].
      mask: [batch, tokens] bool, False where a token is padding: nothing attends to
        it, and its own output means nothing.
      places: [tokens] position of each token; 0, 1, ... by default.

    Returns:
      [batch, tokens, channels].

    Raises:
      UserError: shapes that do not fit, such as an odd size where positions take pairs.
    """
    _require_tokens(x, mask)
    (x,) = dtypes.promote_dtype(x, dtype=self.dtype)
    _, tokens, channels = x.shape
    size, rest = divmod(channels, self.heads)
    if rest:
      raise UserError(f'{self.heads} heads do not divide {channels} channels')
    places = jnp.arange(tokens) if places is None else places
    if places.shape != (tokens,):
      raise UserError(f'places of shape {places.shape} for {tokens} tokens')

    if self.positions == 'absolute':
      x = x + sinusoids(places, channels).astype(x.dtype)[None]

    def project(name: str) -> jax.Array:
      y = nn.Dense(channels, dtype=self.dtype, param_dtype=self.param_dtype, name=name)
      return y(x).reshape(*x.shape[:2], self.heads, size)

    query, key, value = project('query'), project('key'), project('value')
    if self.positions == 'rotary':
      turn = jax.vmap(rotary, in_axes=(2, None), out_axes=2)  # Head by head.
      query, key = turn(query, places), turn(key, places)
    y = _attend(query, key, value, mask)
    out = nn.Dense(channels, dtype=self.dtype, param_dtype=self.param_dtype, name='out')
    return out(y.reshape(x.shape))


class DeepSets(nn.Module):
  """A permutation-invariant pooling: rho(sum of phi(token)), phi and rho learned.

  Wide enough, it approximates every continuous function of sets of one size (Zaheer et
  al., arXiv:1703.06114, Theorem 2 and appendix). The sum, not the mean, tells how often
  a token occurs.

  Attributes:
    hidden: channels of phi, a dense layer with ReLU, and of rho's hidden layer.
    features: channels of the result.
    dtype: of the computation; the parameters are held in `param_dtype`.
  """

  hidden: int
  features: int
  dtype: Dtype | None = None
  param_dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, *, mask: jax.Array | None = None) -> jax.Array:
    """Pools sets.

    Args:
      x: [batch, tokens, channels].
      mask: [batch, tokens] bool, False where a token is padding, which adds nothing.

    Returns:
      [batch, features].

    Raises:
      UserError: `x` has another rank, or `mask` another shape.
    """
    _require_tokens(x, mask)

    def dense(features: int, name: str) -> nn.Dense:
      return nn.Dense(
        features, dtype=self.dtype, param_dtype=self.param_dtype, name=name
      )

    members = nn.relu(dense(self.hidden, 'phi')(x))
    if mask is not None:
      members = jnp.where(mask[..., None], members, 0)
    pooled = nn.relu(dense(self.hidden, 'rho_hidden')(members.sum(axis=1)))
    return dense(self.features, 'rho')(pooled)


def _attend(
  query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array | None
) -> jax.Array:
  """softmax(Q K^T / sqrt(d)) V of [batch, tokens, heads, d] arrays, head by head.

  `jax.nn.dot_product_attention` has no derivative in half precision under strict dtype
  promotion, and rounds float64 to float32.
  """
  wide = np.promote_types(query.dtype, np.float32)
  logits = jnp.einsum('bqhd,bkhd->bhqk', query.astype(wide), key.astype(wide))
  logits = logits / math.sqrt(query.shape[-1])
  if mask is not None:
    logits = jnp.where(mask[:, None, None, :], logits, jnp.finfo(wide).min)
  weights = jax.nn.softmax(logits).astype(value.dtype)
  return jnp.einsum('bhqk,bkhd->bqhd', weights, value)


def _require_tokens(x: jax.Array, mask: jax.Array | None) -> None:
  if x.ndim != 3:
    raise UserError(f'tokens of shape {x.shape}; give [batch, tokens, channels]')
  if mask is not None and (mask.shape != x.shape[:2] or mask.dtype != bool):
    raise UserError(
      f'a mask of {mask.dtype} {mask.shape} for tokens {x.shape}; give bool '
      f'{x.shape[:2]}, True where a token is real'
    )
