"""`rrdns events`: what is asked for and printed, and a stream that outlives a restart of control."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fake_api import FakeApi
from test_cli import PLAIN, said


def test_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeApi(tmp_path / "s") as api:
        code, text, _ = said(capsys, "events", "--since", "1h", "--pool", "web", "--limit", "3", "--control", api.path)
        assert code == 0 and len(text.splitlines()) == 8
        assert "member web/web1" in text and "up → down" in text and "timed out after 2s connecting" in text
        assert api.asked[-1][2] == {"since": "3600.0", "pool": "web", "limit": "3"}
        said(capsys, "events", "--since", "60", "--control", api.path)
        assert api.asked[-1][2] == {"since": "60.0", "limit": "100000"}
        lines = said(capsys, "events", "--json", "--control", api.path)[1].splitlines()
        assert [json.loads(line)["name"] for line in lines][:2] == ["web/web1", "web/web2"]


def test_following_survives_a_restart_of_control_and_ctrl_c(tmp_path: Path) -> None:
    def event(name: str) -> dict[str, Any]:
        return {"time": time.time(), "subject": "member", "name": name, "before": "up", "after": "down", "why": "x"}

    with FakeApi(tmp_path / "s") as api:
        api.status["events"] = [event("past")]
        api.stream = [api.status["events"][0], event("now")]
        process = subprocess.Popen(
            [sys.executable, "-m", "rrdns", "events", "--follow", "--control", api.path],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=PLAIN,
        )
        assert process.stdout is not None and process.stderr is not None
        try:
            assert "past" in process.stdout.readline()
            assert "now" in process.stdout.readline(), "what was shown as past is not shown again"
            api.stop()
            assert "trying again" in process.stderr.readline()
            api.status["events"].append(event("meanwhile"))
            api.stream = [event("later")]
            api.start()
            assert "meanwhile" in process.stdout.readline()
            assert "later" in process.stdout.readline()
            api.stop()
            assert "trying again" in process.stderr.readline()
            again = {**api.status["events"][1], "time": api.status["events"][1]["time"] + 0.8}
            api.status["events"] = [again, event("at last")]
            api.stream = []
            api.start()
            assert "at last" in process.stdout.readline(), "what only the journal has is told in its time, not again"
            since = [float(query["since"]) for _, path, query, _ in api.asked if "since" in query]
            assert since and all(60 < one < 120 for one in since), "from the last that was shown on"
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()
            process.wait()
