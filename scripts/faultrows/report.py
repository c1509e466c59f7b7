"""The table for people and the JSON for the next time. Pure, but for the terminal."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from faultrows.rows import Finding, Row

STYLES = {"ok": "green", "SHORT": "bold red", "FAILED": "bold red", "skipped": "yellow"}


def table(found: list[tuple[Row, Finding, str, float]]) -> Table:
    out = Table(show_lines=True, expand=True)
    for title, ratio in (("row", None), ("fault", 3), ("target", 4), ("measured", 6), ("verdict", None), ("others", 5)):
        out.add_column(title, ratio=ratio, overflow="fold")
    for row, finding, verdict, took in found:
        measured = "\n".join([*map(str, finding.checks), *finding.notes])
        style = STYLES.get(verdict, "")
        out.add_row(
            row.id, row.title, row.target, measured, f"[{style}]{verdict}[/]\n{took:.0f} s", others(row, finding)
        )
    return out


def others(row: Row, finding: Finding) -> str:
    here = [f"{name}: {text} (here)" for name, text in finding.others.items()]
    return "\n".join([*here, *(f"{name}: {text} (quoted)" for name, text in row.others.items())])


def listing(rows: dict[str, Row], missing: list[str]) -> Table:
    out = Table(expand=True)
    for title in ("row", "fault", "target", ""):
        out.add_column(title, overflow="fold")
    for row in rows.values():
        out.add_row(row.id, row.title, row.target, "quick" if row.quick else "with --all")
    if missing:
        out.caption = f"no row yet: {' '.join(missing)}"
    return out


def as_json(row: Row, finding: Finding, verdict: str, took: float) -> dict[str, Any]:
    return {
        "id": row.id,
        "title": row.title,
        "target": row.target,
        "verdict": verdict,
        "took_s": round(took, 1),
        "checks": [{**asdict(check), "ok": check.ok} for check in finding.checks],
        "notes": finding.notes,
        "others_here": finding.others,
        "others_quoted": dict(row.others),
        "details": finding.details,
    }


def console() -> Console:
    """Wide enough for the columns when nobody looks."""
    probe = Console()
    return probe if probe.is_terminal else Console(width=200)
