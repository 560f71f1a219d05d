"""Networks whose branches meet again, and the border modes that let them."""

from symjax.errors import UserError
from symjax.nn import ConvPolicy


def require_border(policy: ConvPolicy, joins: str) -> None:
  """Refuses a policy under which branches leave maps of different sizes.

  Args:
    policy: of the network.
    joins: what network it is and what it does with maps, as 'a network adds'.

  Raises:
    UserError: naming the border mode.
  """
  if policy.padding == 'valid':
    raise UserError(
      f"padding 'valid' shrinks the maps that {joins}; choose another padding"
    )
