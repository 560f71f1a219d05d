"""How much memory there is."""

import os


def physical_memory() -> int:
  """Bytes of memory in this machine."""
  return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
