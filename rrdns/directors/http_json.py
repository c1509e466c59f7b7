"""The type `http`: the table of `file.py`, in JSON, YAML or plain lines, asked for by HTTP.

Must not know: the table's shape, pools.
"""

from __future__ import annotations

from rrdns.directors.file import parsed
from rrdns.directors.reach import Reach
from rrdns.directors.words import not_html
from rrdns.model import Director, DirectorTable

_ACCEPT = "application/json, application/yaml;q=0.9, text/plain;q=0.8, */*;q=0.1"


async def read(director: Director, reach: Reach) -> DirectorTable:
    """Any content type but HTML: what comes says itself what it is, and small services label it wrongly."""
    answer = await reach.http(director, headers={"Accept": _ACCEPT})
    body = answer.whole()
    not_html(body, answer.headers.get("content-type", ""), answer.where)
    return await parsed(body, answer.where)
