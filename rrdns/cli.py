"""The command line's beginning and end: arguments to the module that does it, and its outcome to an exit code.

Exit codes: 0 fine, 1 problems, 2 usage, 3 the server's control can't be reached, 4 in force but NOT saved.
Each command's module is imported when it runs, so that `--help` and small commands stay quick. Must not know: how
anything is done.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from rrdns.ui.arguments import build
from rrdns.ui.client import Refused, Unreachable
from rrdns.ui.config import ConfigError, server_paths

FINE, PROBLEMS, USAGE, UNREACHABLE, NOT_SAVED = 0, 1, 2, 3, 4
INTERRUPTED, PIPE_CLOSED = 130, 141  # as a shell reports SIGINT and SIGPIPE
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the process's exit code."""
    try:
        code = _main(argv)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _write_no_more()  # whoever read our output has seen enough
        return PIPE_CLOSED
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        _write_no_more()
        print(f"rrdns: {error.filename or 'the output'} can't be written: {error.strerror}", file=sys.stderr)
        return PROBLEMS
    except KeyboardInterrupt:
        return INTERRUPTED


def _write_no_more() -> None:
    """Not at exit either, where Python flushes what is left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _main(argv: Sequence[str] | None) -> int:
    parser = build()
    try:
        args = parser.parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else USAGE
    if not getattr(args, "target", None):
        parser.print_help()
        return FINE
    try:
        if args.talks:
            args.control, args.state, args.default_state = server_paths(args)
        return command(args.target)(args)
    except ConfigError as error:
        return _failed(args, str(error), USAGE)
    except Unreachable as error:
        return _failed(args, str(error), UNREACHABLE)
    except Refused as error:
        return _failed(args, str(error), PROBLEMS, error.body)


def command(target: str) -> Callable[[argparse.Namespace], int]:
    """The function behind `module:function`; other commands' modules stay unloaded."""
    module, _, name = target.partition(":")
    found: Callable[[argparse.Namespace], int] = getattr(import_module(f"rrdns.ui.{module}"), name)
    return found


def _failed(args: argparse.Namespace, text: str, code: int, body: dict[str, Any] | None = None) -> int:
    """The one way a command says that it failed: words on stderr, with --json also an object on stdout."""
    if getattr(args, "json", False):
        import json

        print(json.dumps(body or {"error": text}, indent=2))
    print(f"rrdns: {text}", file=sys.stderr)
    return code
