"""The control API: HTTP/1.1 and JSON on a unix socket, for `rrdns status`, `top`, `drain` and all that people touch.

    GET  /status   GET /explain?name=&type=   GET /events?limit=&since=&pool=&follow=   GET /export
    POST /reload   {"force": bool}
    GET  /metrics  for Prometheus    GET /healthz  200 or 503
    POST /notify/test {"sink": name or ""}          POST /failback {"pool": name, "reason": str, "force": bool}
    POST /upgrade   {}  asks the supervisor          GET /upgrade  what became of it: supervise/upgrade.py
    POST /audit {"asking": bool}  whether members are asked for what they must refuse
    POST /audit/found {"found": [{"name", "text"}]}  told as events, where they are news
    POST /override {"members": [...], "word": one of WORDS, "weight": "20"|"50%", "for": s|null, "reason": str,
                    "force": bool}    hold and release: `members` are pools, none for all of them

Errors are {"error": "a sentence for people"}. /export gives records, not text, so that writing master files stays
with the command: {"zones": {zone: {"rrsets": [[name_hex, type, ttl, [rdata_hex, ...]], ...]}}}. Who connects
(control_socket.py) owns the overrides made; what requests say is read in requests.py.
The one module that imports aiohttp here. Must not know: how anything is decided; it asks the `Doors` it is given.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from rrdns import log
from rrdns.control.control_socket import InUse as InUse
from rrdns.control.control_socket import listen as listen
from rrdns.control.control_socket import user_of
from rrdns.control.requests import Refused as Refused
from rrdns.control.requests import number, seconds_of, typed, word_of

MAX_BODY = 1 << 20
MAX_EVENTS = 100_000
MAX_FOUND = 10_000
MAX_TEXT = 1000
CLOSING = 0.5  # seconds for requests under way when we end

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Doors(Protocol):
    """What the API can ask. Each may raise Refused. What may be large comes as finished JSON."""

    async def status(self) -> bytes: ...
    async def explain(self, name: str, rtype: str) -> Json: ...
    async def events(self, limit: int, since: float | None, pool: str) -> bytes: ...
    async def known(self) -> bytes: ...
    async def export(self) -> bytes: ...
    async def reload(self, force: bool) -> Json: ...
    async def override(
        self, members: list[str], word: str, seconds: float | None, owner: str, reason: str, force: bool
    ) -> Json: ...
    async def failback(self, pool: str, owner: str, reason: str, force: bool) -> Json: ...
    async def upgrade(self, owner: str) -> Json: ...
    async def upgraded(self) -> Json: ...
    async def metrics(self) -> tuple[int, str, bytes]: ...
    async def healthz(self) -> tuple[int, str, bytes]: ...
    async def test_notify(self, sink: str) -> list[Json]: ...
    async def audit(self, asking: bool) -> Json: ...
    async def audited(self, found: dict[str, str]) -> int: ...
    def follow(self) -> asyncio.Queue[Json | None]: ...
    def unfollow(self, queue: asyncio.Queue[Json | None]) -> None: ...
    def is_followed(self, queue: asyncio.Queue[Json | None]) -> bool: ...


class Api:
    def __init__(self, doors: Doors, path: Path, group: str = "") -> None:
        self.path = path
        self._group = group
        self._doors = doors
        self._runner: web.AppRunner | None = None
        self._identity: tuple[int, int] | None = None

    async def start(self) -> None:
        """Begins to listen. Raises InUse or OSError."""
        app = web.Application(middlewares=[_errors], client_max_size=MAX_BODY)
        for path, handler in (
            ("/status", self._status),
            ("/explain", self._explain),
            ("/events", self._events),
            ("/export", self._export),
            ("/known", self._known),
            ("/metrics", self._metrics),
            ("/healthz", self._healthz),
        ):
            app.router.add_get(path, handler)
        app.router.add_post("/reload", self._reload)
        app.router.add_post("/override", self._override)
        app.router.add_post("/notify/test", self._test_notify)
        app.router.add_post("/audit", self._audit)
        app.router.add_post("/audit/found", self._audited)
        app.router.add_post("/failback", self._failback)
        app.router.add_post("/upgrade", self._upgrade)
        app.router.add_get("/upgrade", self._upgraded)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSING, handle_signals=False)
        await runner.setup()
        try:
            sock = listen(self.path, self._group)
            await web.SockSite(runner, sock).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        found = self.path.lstat()
        self._identity = found.st_dev, found.st_ino

    async def stop(self) -> None:
        """Ends; the socket is removed if it is still ours."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        try:
            found = self.path.lstat()
            if (found.st_dev, found.st_ino) == self._identity:
                self.path.unlink()
        except OSError:
            pass  # somebody has removed it
        await runner.cleanup()

    # ------------------------------------------------------------------ asking

    async def _status(self, request: web.Request) -> web.Response:
        return _json(await self._doors.status())

    async def _explain(self, request: web.Request) -> web.Response:
        name = request.query.get("name", "")
        if not name:
            raise Refused(400, "which name? /explain?name=www.example.com.&type=A")
        return _json(await self._doors.explain(name, request.query.get("type") or "A"))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        pool = request.query.get("pool", "")
        if request.query.get("follow", "0") not in ("0", ""):
            return await self._follow(request, pool)
        limit = number(request.query.get("limit"), "limit", 50)
        since = number(request.query.get("since"), "since", None)
        assert limit is not None
        return _json(await self._doors.events(int(min(limit, MAX_EVENTS)), since, pool))

    async def _follow(self, request: web.Request, pool: str) -> web.StreamResponse:
        """One event a line as they happen, until either side ends it."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        queue = self._doors.follow()
        try:
            await response.prepare(request)
            while (event := await self._next(queue)) is not None:
                if not pool or event["name"] == pool or str(event["name"]).startswith(pool + "/"):
                    await response.write(json.dumps(event).encode() + b"\n")
        except ConnectionError:
            pass  # the reader has gone
        finally:
            self._doors.unfollow(queue)
        return response

    async def _next(self, queue: asyncio.Queue[Json | None]) -> Json | None:
        """The next event; None when there will be none: the reader was too slow, or the server ends."""
        while queue.empty() and self._doors.is_followed(queue):
            try:
                async with asyncio.timeout(1.0):
                    return await queue.get()
            except TimeoutError:
                continue
        return None if queue.empty() else queue.get_nowait()

    async def _known(self, request: web.Request) -> web.Response:
        return _json(await self._doors.known())

    async def _export(self, request: web.Request) -> web.Response:
        return _json(await self._doors.export())

    async def _metrics(self, request: web.Request) -> web.Response:
        return _page(*await self._doors.metrics())

    async def _healthz(self, request: web.Request) -> web.Response:
        return _page(*await self._doors.healthz())

    # ------------------------------------------------------------------ telling

    async def _test_notify(self, request: web.Request) -> web.Response:
        found = await self._doors.test_notify(typed(await _body(request), "sink", str, ""))
        return _json({"ok": all(one["ok"] for one in found), "sinks": found})

    async def _audit(self, request: web.Request) -> web.Response:
        return _json(await self._doors.audit(typed(await _body(request), "asking", bool, False)))

    async def _audited(self, request: web.Request) -> web.Response:
        found = typed(await _body(request), "found", list, [])
        if not all(isinstance(one, dict) and isinstance(one.get("name"), str) for one in found):
            raise Refused(400, "found: a list of {name, text} is needed")
        texts = {one["name"][:MAX_TEXT]: str(one.get("text", ""))[:MAX_TEXT] for one in found[:MAX_FOUND]}
        return _json({"ok": True, "told": await self._doors.audited(texts)})

    async def _reload(self, request: web.Request) -> web.Response:
        body = await _body(request)
        answer = await self._doors.reload(typed(body, "force", bool, False))
        return _json(answer, 200 if answer.get("ok") else 409)

    async def _failback(self, request: web.Request) -> web.Response:
        body = await _body(request)
        pool, reason = typed(body, "pool", str, ""), typed(body, "reason", str, "")
        if not pool:
            raise Refused(400, "pool: a name is needed")
        if len(reason) > MAX_TEXT:
            raise Refused(400, f"reason: at most {MAX_TEXT} characters")
        owner = user_of(request.get_extra_info("socket"))
        return _json(await self._doors.failback(pool, owner, reason, typed(body, "force", bool, False)))

    async def _upgrade(self, request: web.Request) -> web.Response:
        return _json(await self._doors.upgrade(user_of(request.get_extra_info("socket"))))

    async def _upgraded(self, request: web.Request) -> web.Response:
        return _json(await self._doors.upgraded())

    async def _override(self, request: web.Request) -> web.Response:
        body = await _body(request)
        members: Any = body.get("members")
        on_pools = body.get("word") in ("hold", "release")
        if on_pools and members is None:
            members = []  # all of them
        wanted = isinstance(members, list) and all(isinstance(one, str) for one in members)
        if not wanted or not (members or on_pools):
            raise Refused(400, "members: a list of names is needed, such as web1 or web/web1")
        word = word_of(body)
        reason = typed(body, "reason", str, "")
        if len(reason) > MAX_TEXT:
            raise Refused(400, f"reason: at most {MAX_TEXT} characters")
        seconds = seconds_of(body.get("for"))
        if seconds is None and word in ("force-up", "drill"):
            raise Refused(400, f"for: {word} needs an end, a number of seconds")
        if seconds is not None and word in ("enable", "return", "release"):
            raise Refused(400, f"{word} has no end, so `for` says nothing")
        force = typed(body, "force", bool, False)
        owner = user_of(request.get_extra_info("socket"))
        return _json(await self._doors.override(members, word, seconds, owner, reason, force))


# ---------------------------------------------------------------------- requests and answers


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever goes wrong, the answer is JSON with words for people."""
    try:
        return await handler(request)
    except Refused as error:
        return _json(error.body, error.status)
    except web.HTTPException as error:
        texts = {
            404: f"there is no {request.path} here",
            405: f"{request.path} does not take {request.method}",
            413: f"the request is larger than {MAX_BODY} bytes",
        }
        return _json({"error": texts.get(error.status, error.reason)}, error.status)
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception:
        log.logger.exception("%s %s: internal error", request.method, request.path)
        return _json({"error": "internal error; the log says more"}, 500)


def _json(body: Json | bytes, status: int = 200) -> web.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return web.Response(body=data, status=status, content_type="application/json")


def _page(status: int, kind: str, body: bytes) -> web.Response:
    return web.Response(body=body, status=status, headers={"Content-Type": kind})


async def _body(request: web.Request) -> Json:
    data = await request.read()
    try:
        body = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the request's body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refused(400, "the request's body must be a JSON object")
    return body
