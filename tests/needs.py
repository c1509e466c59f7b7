"""Which real programs a test needs: without one it is skipped, but under CI=true it fails."""

from __future__ import annotations

import os
import shutil

import pytest


def needs(*programs: str) -> None:
    """Skip (locally) or fail (in CI) the calling test unless every program is installed."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [program for program in programs if shutil.which(program, path=path) is None]
    if not missing:
        return
    reason = f"not installed: {', '.join(missing)} (scripts/test installs them where it may)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
