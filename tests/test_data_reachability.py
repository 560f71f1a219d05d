import threading
import time

import pytest
import requests

from symjax.data import reachability


class Answer:
  def __init__(self, status_code):
    self.status_code = status_code
    self.ok = status_code < 400


@pytest.mark.parametrize('status, expected', [(200, True), (405, True), (403, False)])
def test_a_host_is_reachable_if_it_answers(monkeypatch, status, expected):
  asked = []

  def head(url, **kwargs):
    asked.append(url)
    return Answer(status)

  monkeypatch.setattr(reachability.requests, 'head', head)
  urls = ['https://a.example/1', 'https://a.example/2', 'https://b.example/1']
  assert reachability.reachable(urls) == expected
  assert len(asked) == 2  # Once a host.


def test_one_silent_host_is_enough_to_be_unreachable(monkeypatch):
  def head(url, **kwargs):
    if 'silent' in url:
      raise requests.ConnectionError
    return Answer(200)

  monkeypatch.setattr(reachability.requests, 'head', head)
  assert reachability.reachable(['https://loud.example/1'])
  assert not reachability.reachable(
    ['https://loud.example/1', 'https://silent.example']
  )


def test_a_hanging_host_is_not_waited_for(monkeypatch):
  released = threading.Event()

  def head(url, **kwargs):
    released.wait(10)
    return Answer(200)

  monkeypatch.setattr(reachability, '_SECONDS', 0.2)
  monkeypatch.setattr(reachability.requests, 'head', head)
  start = time.monotonic()
  assert not reachability.reachable(['https://a.example/1', 'https://b.example/1'])
  assert time.monotonic() - start < 1.5
  released.set()
