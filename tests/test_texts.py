"""How times, counts and strange text are written, and durations read back."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdns import texts


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5s", 5), ("500ms", 0.5), ("2m", 120), ("1h30m", 5400), ("7d", 604800), ("1w", 604800), ("90", 90), ("0.5", 0.5)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert texts.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "5 s", "-5s", "5x", "1h30", "5sm", "1e3", "٣s", "1..5s"])
def test_what_is_no_duration_is_told_with_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match="write 30s"):
        texts.parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (-3, "0s"), (0.34, "340ms"), (0.9999, "1s"), (2.5, "2.5s"), (9.96, "10s"), (45, "45s"), (60, "1m"),
        (303, "5m 3s"), (7500, "2h 5m"), (273600, "3d 4h"), (86400 * 400, "400d"), (59.9, "1m"),
    ],
)  # fmt: skip
def test_ages_are_short(seconds: float, text: str) -> None:
    assert texts.duration(seconds) == text


@given(st.floats(0, 1e8))
def test_an_age_fits_its_column_and_reads_back_near_enough(seconds: float) -> None:
    text = texts.duration(seconds)
    assert len(text) <= 9
    assert abs(texts.parse_duration(text.replace(" ", "")) - seconds) <= max(0.051, seconds * 0.05)


def test_counts_and_rates() -> None:
    assert [texts.count(n) for n in (0, 999, 12345, 1_234_567, 2e9)] == ["0", "999", "12,345", "1.2M", "2.0G"]
    assert [texts.rate(n) for n in (0, 0.01, 0.3, 12.3, 1234)] == ["0", "0", "0.3", "12", "1,234"]
    assert [texts.percent(n) for n in (0, 0.0001, 0.125, 0.25, 1)] == ["0%", "<0.1%", "12.5%", "25%", "100%"]
    assert [texts.plural(n, "zone") for n in (0, 1, 2000)] == ["0 zones", "1 zone", "2,000 zones"]
    assert texts.plural(2, "address") == "2 addresses"


@given(st.text())
def test_nothing_from_elsewhere_can_steer_a_terminal(text: str) -> None:
    shown = texts.clean(text)
    assert all(unicodedata.category(char) not in ("Cc", "Cf", "Zl", "Zp") for char in shown)


def test_clean_shows_what_was_there() -> None:
    assert texts.clean("HTTP \x1b[31m503\nfoo\u202e") == "HTTP \\x1b[31m503 foo\\u202e"
