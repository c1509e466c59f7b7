"""The workers as a crew: manning the posts, replacing who dies or hangs, parking a post that does harm.

A SO_REUSEPORT socket that nobody reads swallows its share of the clients. So a post whose workers keep dying,
or cannot get answers because control is away, loses its sockets for a while: its share goes to the others. The
last post that serves keeps them always. Where workers of an earlier server are taken over from, new ones come a few
at a time (`step`), so that their tables are not all in memory twice. Floor 4, standard library only. Must not know:
control's own fate.

    a worker ...                          its sockets    the next worker
    dies or is killed as hung             stay           at once
    the 3rd time in 10 s, others serve    close          in 10 s, then 20, 40, 60, with fresh sockets
    the 3rd time in 10 s, the only one    stay           in 0.2 s, then 0.4 ... 2
    has no answers for 5 s, no control,   close          when control serves again
      and others serve
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence

from rrdns.board import FIRST_WORKER, Board
from rrdns.log import logger
from rrdns.supervise import children, handover, ports, sockets
from rrdns.supervise.children import Child, Post
from rrdns.supervise.ports import Address, SocketError
from rrdns.supervise.startup import Place

TABLE_WAIT = 5.0
STEPS = 8  # of a take-over, at most; so up to 8 workers come one after the other


class Crew:
    def __init__(self, place: Place, board: Board, module: str, env: Mapping[str, str]) -> None:
        self.place = place
        self.board = board
        self.module = module
        self.env = env
        count = place.settings.workers
        cpus: Sequence[int | None] = place.cpus if count <= len(place.cpus) else [None] * count
        self.posts = [Post(index, place.folder.open_link(index), cpus[index]) for index in range(count)]
        self.at_once = count
        self.stepped = 0.0
        """When the last of them were started."""
        self.abandoned: list[Child] = []
        """Killed, and no longer waited for."""

    def open(self, now: float) -> None:
        """Sockets, taken over or new, and workers at the posts, or at the first of them where there are others to take
        over from; SocketError if an address cannot be had."""
        if self.place.taken:
            self.at_once = -(-len(self.posts) // STEPS)
        for post, dealt in zip(self.posts, handover.share_out(self.place.taken, len(self.posts)), strict=True):
            post.sockets = dealt
        self.place.taken = []
        self.place.addresses = tuple(self._settle_port(one) for one in self.place.addresses)
        for post in self.posts:
            post.waits = True
        for post in self.posts[: self.at_once]:  # the others when it is their turn: nobody reads theirs until then
            post.fill(self.place.addresses)
        self.step(now)

    def step(self, now: float) -> bool:
        """Starts the next workers; False: there are no more."""
        following = [post for post in self.posts if post.waits][: self.at_once]
        for post in following:
            post.waits = False
            self._start(post, now)
        self.stepped = now if following else self.stepped
        return bool(following)

    def is_relieved(self, pid: int) -> bool:
        """Whether all that this worker of an earlier server reads is read by new ones that serve."""
        reads = self.place.reads.get(pid, set())
        posts = [post for post in self.posts if reads & {sockets.inode(sock) for sock in post.sockets}]
        return bool(posts) and all(post.child and post.child.serves() for post in posts)

    def _settle_port(self, address: Address) -> Address:
        """Port 0 (tests): the first post's sockets decide for all."""
        if address[1]:
            return address
        pair = sockets.open_pair(address)
        self.posts[0].sockets += pair
        settled = sockets.address_of(pair[0])
        self.place.claims.append(ports.claim(settled))
        return settled

    def _start(self, post: Post, now: float) -> bool:
        arguments = ["--index", str(post.index), "--board", str(self.place.folder.board)]
        try:
            post.fill(self.place.addresses)
            command = children.command(self.module, *arguments, *post.arguments())
            post.child = Child(
                f"worker {post.index}", FIRST_WORKER + post.index, self.board, command, self.env, post.fds()
            )
        except (OSError, SocketError) as error:
            logger.error("cannot start worker %d: %s; next try in 1 s", post.index, error)
            post.due = now + 1.0
            return False
        return True

    def watch(self, now: float, forgiven: float, control_serves: bool) -> None:
        self.abandoned = [one for one in self.abandoned if one.poll() is None]
        for post in self.posts:
            self._watch(post, now, forgiven, control_serves)

    def _watch(self, post: Post, now: float, forgiven: float, control_serves: bool) -> None:
        child = post.child
        if child is None:
            if post.waits:
                return
            if now >= post.due and (control_serves or not post.parked) and self._start(post, now) and post.child:
                logger.info("worker %d starts again, pid %d", post.index, post.child.pid)
            return
        code = child.poll()
        if code is not None or child.is_lost(now, forgiven):
            self._replace(post, child, code, now)
            return
        child.end_if_hung(now, forgiven, children.WORKER_SILENCE)
        late = now - max(child.started, forgiven) > TABLE_WAIT
        if late and not child.serves() and not control_serves and self._others_serve(post):
            logger.warning("%s (pid %d) gets no answers while control is away: the others take its share",
                           child.name, child.pid)  # fmt: skip
            self._dismiss(post, child)
            post.park(now, wait=0.0)

    def _replace(self, post: Post, child: Child, code: int | None, now: float) -> None:
        self._dismiss(post, child)
        child.count_restart()
        deaths = post.bury(now, now - child.started)
        said = f"{child.name} (pid {child.pid}) {children.how_it_ended(code)}"
        if deaths >= children.DEATHS and self._others_serve(post):
            wait = post.park(now)
            logger.error(
                "%s, the %d. time in 10 s: its sockets are closed, the others take its share; next try in %.0f s",
                *(said, deaths, wait),
            )
        elif pause := children.pause_after(deaths):
            post.due = now + pause
            logger.error("%s, the %d. time in 10 s: its sockets stay; next try in %.1f s", said, deaths, pause)
        elif self._start(post, now) and post.child:
            logger.warning("%s; pid %d takes its sockets over", said, post.child.pid)
        else:
            logger.error("%s", said)

    def _dismiss(self, post: Post, child: Child) -> None:
        post.child = None
        if child.poll() is None:
            child.signal(signal.SIGKILL)
            self.abandoned.append(child)

    def _others_serve(self, post: Post) -> bool:
        return any(one is not post and one.child and one.child.serves() and one.sockets for one in self.posts)

    def all_serve(self) -> bool:
        """Every post that is manned by now and not parked; at least one."""
        manned = [post for post in self.posts if not post.parked and not post.waits]
        return bool(manned) and all(post.child and post.child.serves() for post in manned)

    def some_serve(self) -> bool:
        return any(post.child and post.child.serves() for post in self.posts)

    def living(self) -> list[Child]:
        return [post.child for post in self.posts if post.child and post.child.poll() is None]

    def signal(self, number: int) -> None:
        for child in self.living():
            child.signal(number)

    def pids(self) -> list[int]:
        return [one.pid for one in (*(post.child for post in self.posts), *self.abandoned) if one]

    def close(self) -> None:
        for post in self.posts:
            post.close()
            post.link.close()
