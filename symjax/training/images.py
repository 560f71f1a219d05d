"""Images on the device: normalisation and augmentation inside the jitted step."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
from jax import lax

from symjax.errors import UserError
from symjax.symmetry.transformations import sample, turned_places


@dataclasses.dataclass(frozen=True)
class Normalization:
  """Bytes to the numbers a network sees.

  Attributes:
    mean: per channel, of pixels scaled to [0, 1].
    std: per channel, likewise.
    image_size: [height, width] to which images are resized (bilinear, antialiased);
      None keeps theirs.
  """

  mean: tuple[float, ...]
  std: tuple[float, ...]
  image_size: tuple[int, int] | None = None

  def output_shape(self, image_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """[height, width, channels] of the result for images of `image_shape`.

    Raises:
      UserError: the images have another number of channels.
    """
    height, width, channels = image_shape
    if not len(self.mean) == len(self.std) == channels:
      raise UserError(
        f'data.mean and data.std have {len(self.mean)} and {len(self.std)} values for '
        f'images of {channels} channels; give one for each channel'
      )
    return (*(self.image_size or (height, width)), channels)

  def __call__(self, images: jax.Array) -> jax.Array:
    """Normalised float32 [batch, height, width, channels] of uint8 images."""
    pixels = images.astype(jnp.float32) / 255.0
    shape = self.output_shape(images.shape[1:])
    if shape != images.shape[1:]:
      pixels = jax.image.resize(pixels, (len(images), *shape), 'bilinear')
    mean, std = (
      jnp.asarray(v, jnp.float32)[None, None, None, :] for v in (self.mean, self.std)
    )
    return (pixels - mean) / std


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """Random flips, turns and shifts, keyed by an image's place in the global batch.

  Attributes:
    flip: mirror left-right with probability 1/2.
    rotation: turn about the centre by a uniform angle of at most so many degrees to
      either side, by bilinear interpolation; what comes from outside is black.
    shift: crop at a uniform offset from the image padded with `shift` black pixels
      on every side; in pixels.
  """

  flip: bool = False
  rotation: float = 0.0
  shift: int = 0

  def __post_init__(self) -> None:
    if not 0 <= self.rotation <= 180:
      raise UserError(
        f'augmentation.rotation={self.rotation} degrees; it is between 0 and 180'
      )
    if self.shift < 0:
      raise UserError(f'augmentation.shift={self.shift} pixels; it is 0 or more')

  def __call__(
    self, key: jax.Array, images: jax.Array, labels: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """uint8 [batch, height, width, channels], each image drawn with its own key.

    Args:
      key: of the step. Image i uses `fold_in(key, i)`, so what happens to it depends
        neither on the number of devices nor on its neighbours.
      images: uint8 [batch, height, width, channels].
      labels: of whole images, which what happens to these does not change.

    Returns:
      The images, and the labels as they were.
    """
    if not (self.flip or self.rotation or self.shift):
      return images, labels
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(images)))
    return jax.vmap(self._augment)(keys, images), labels

  def _augment(self, key: jax.Array, image: jax.Array) -> jax.Array:
    flip_key, shift_key = jax.random.split(key)
    if self.flip:
      image = jnp.where(jax.random.bernoulli(flip_key), image[:, ::-1], image)
    if self.rotation:
      # Beside the two keys, whose draws do not depend on whether images are turned.
      image = _turn(image, self._angle(jax.random.fold_in(key, 2)))
    if self.shift:
      border = (self.shift, self.shift)
      offset = jax.random.randint(shift_key, (2,), 0, 2 * self.shift + 1)
      padded = jnp.pad(image, (border, border, (0, 0)))
      image = lax.dynamic_slice(padded, (offset[0], offset[1], 0), image.shape)
    return image

  def _angle(self, key: jax.Array) -> jax.Array:
    limit = math.radians(self.rotation)
    return jax.random.uniform(key, (), jnp.float32, -limit, limit)


def _turn(image: jax.Array, angle: jax.Array) -> jax.Array:
  """A uint8 image turned clockwise by an angle in radians."""
  height, width, _ = image.shape
  places = turned_places(height, width, jnp.cos(angle), jnp.sin(angle))
  planes = image.astype(jnp.float32)
  turned = jax.vmap(functools.partial(sample, places), 2, 2)(planes)
  return jnp.rint(turned).astype(jnp.uint8)
