"""Whether the hosts of missing files answer, found out quickly."""

import threading
import time
import urllib.parse
from collections.abc import Iterable

import requests

_SECONDS = 3.0


def reachable(urls: Iterable[str]) -> bool:
  """Whether every host answers for one of its files, within three seconds in all.

  TFDS would retry for minutes before it says that there is no network.
  """
  per_host = {urllib.parse.urlsplit(url).netloc: url for url in urls}
  answered = dict.fromkeys(per_host, False)

  def ask(host: str, url: str) -> None:
    try:
      answer = requests.head(url, timeout=_SECONDS, allow_redirects=True)
    except requests.RequestException:
      return
    # Some hosts serve files and refuse to be asked for their headers alone.
    answered[host] = answer.ok or answer.status_code == requests.codes.not_allowed

  # Daemons, because looking up a name may hang for longer than any timeout.
  threads = [
    threading.Thread(target=ask, args=item, daemon=True) for item in per_host.items()
  ]
  for thread in threads:
    thread.start()
  deadline = time.monotonic() + _SECONDS
  for thread in threads:
    thread.join(max(0.0, deadline - time.monotonic()))
  return all(answered.values())
