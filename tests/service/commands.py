"""The command line, called in this process as a user calls it."""

import contextlib
import io

from service.cli import main


def niteru(*words, code=0):
    """What ``niteru WORDS`` prints: to standard error where it is to end with another status."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(word) for word in words])
            found = 0
        except SystemExit as end:
            found = end.code or 0
    assert found == code, out.getvalue() + err.getvalue()
    return err.getvalue() if code else out.getvalue()
