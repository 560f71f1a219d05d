"""The one exception for what a user can mend."""


class UserError(Exception):
  """A mistake in what symjax was given: a name, a file, a shape, a number.

  The message is one line that says what was wrong and what would be right. The
  programs in `run/` print it without a traceback and exit with status 2.
  """
