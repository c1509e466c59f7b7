"""Files: the zones directory as bytes, what a load may not lose, and the copy of the last accepted load.

Blocking; control calls it from a thread. What is wrong with the directory itself (missing, unreadable, too
large) comes as Problems beside those of the parser. Must not know: YAML, how the data set is used.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rrdns import wire
from rrdns.model import DataSet, Place, Pool, Problem, RRset, Zone
from rrdns.wire import name_to_text

MAX_FILE = 64 << 20
MAX_ALL = 1 << 30
MAX_LOSS = 0.3  # of the names or members there were
MANIFEST = "manifest.json"
ACCEPTED = "accepted"


@dataclass(slots=True)
class Directory:
    """What a directory held: the files' bytes and change times (Unix seconds) by the path people see."""

    files: dict[str, bytes] = field(default_factory=dict)
    mtimes: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(map(len, self.files.values()))

    def digest(self) -> str:
        """Tells contents (and faults) apart; times and inodes don't count."""
        found = hashlib.sha256()
        for path, data in sorted(self.files.items()):
            found.update(f"{path}\0{len(data)}\0".encode("utf-8", "surrogateescape"))
            found.update(data)
        found.update("\n".join(sorted(map(str, self.problems))).encode("utf-8", "surrogateescape"))
        return found.hexdigest()


def counts(name: str) -> bool:
    """Whether a file of this name is ours to read."""
    return name.endswith(".yaml") and not name.startswith(".")


def read(folder: str) -> Directory:
    """Reads `*.yaml` in the folder; names in it are shown as `folder/name`."""
    found = Directory()
    try:
        names = sorted(entry.name for entry in _entries(folder))
    except OSError as error:
        what = {errno.ENOENT: "there is no such directory", errno.ENOTDIR: "this is no directory"}
        words = what.get(error.errno or 0) or f"can't be read: {_words(error)}"
        found.problems.append(Problem(Place(folder), "", f"{words}; give the directory of your zone files"))
        return found
    room = MAX_ALL
    for name in names:
        shown = f"{folder}/{name}" if folder != "." else name
        try:
            name.encode()
            data, mtime = _read_file(f"{folder}/{name}", min(MAX_FILE, room))
        except UnicodeEncodeError:
            readable = os.fsencode(shown).decode("utf-8", "backslashreplace")
            found.problems.append(Problem(Place(readable), "", "the file's name is not UTF-8; rename it"))
        except OSError as error:
            found.problems.append(Problem(Place(shown), "", _words(error)))
        else:
            room -= len(data)
            found.files[shown], found.mtimes[shown] = data, mtime
    return found


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if counts(entry.name)]


def _read_file(path: str, limit: int) -> tuple[bytes, int]:
    """The bytes of a plain file, as they stood at one time: read again when it changed meanwhile."""
    for _ in range(5):
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO must not hold us
        try:
            before = os.fstat(fd)
            if not stat.S_ISREG(before.st_mode):
                kind = "directory" if stat.S_ISDIR(before.st_mode) else "device, pipe or socket"
                raise OSError(f"this is a {kind}, not a file; rename it, or put it elsewhere")
            if before.st_size > limit:
                largest = f"{MAX_FILE >> 20} MiB in a file, {MAX_ALL >> 20} MiB in all"
                raise OSError(f"too large with {before.st_size} bytes: at most {largest}")
            data = os.read(fd, before.st_size + 1)  # a thousand files are read at each edit: no layers between
            while len(data) < before.st_size and (more := os.read(fd, before.st_size)):
                data += more
            after = os.fstat(fd)
        finally:
            os.close(fd)
        if len(data) == after.st_size and before.st_mtime_ns == after.st_mtime_ns:
            return data, int(after.st_mtime)
    raise OSError("is being written to all the time; it is read when it has come to rest")


def _words(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "this symbolic link leads nowhere"
    if error.errno == errno.ELOOP:
        return "this symbolic link leads to itself"
    return error.strerror or str(error)


Fingerprint = tuple[object, ...]


def fingerprint(folder: str) -> Fingerprint:
    """Changes whenever `read` might give something else; costs one stat a file."""
    try:
        here = Path(folder).stat()
        entries = _entries(folder)
    except OSError as error:
        return (error.errno,)
    found: list[object] = [(here.st_dev, here.st_ino)]
    for entry in sorted(entries, key=lambda entry: entry.name):
        try:
            one = entry.stat()
        except OSError as error:
            found.append((entry.name, error.errno))
        else:
            found.append((entry.name, one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns))
    return tuple(found)


# ---------------------------------------------------------------------- what a load may not lose


def losses(old: DataSet, new: DataSet) -> list[str]:
    """Why `new` must not follow `old` unasked, in words; empty: it may.

    A name is an owner name; a member is lost when its pool has neither its name nor one of its addresses left.
    """
    if not new.zones:
        return ["it holds no zone at all"] if old.zones else []
    found = []
    gone = sorted(name_to_text(name) for name in old.zones.keys() - new.zones.keys())
    if gone:
        found.append(f"it loses zone{'s' if len(gone) > 1 else ''} {some(gone)}")
    names = _lost_names(old, new)
    total = _too_few_for(len(names), old)
    if total:
        found.append(f"it loses {_share(len(names), total)} names: {some(sorted(map(name_to_text, names)))}")
    lost = sorted(_lost_members(old, new))
    members = sum(len(pool.members) for pool in old.pools.values())
    if len(lost) > MAX_LOSS * members:
        found.append(f"it loses {_share(len(lost), members)} members: {some(lost)}")
    return found


def same_content(one: Zone, other: Zone) -> bool:
    """Whether two zones differ in nothing but the serial. Zones that a load left alone share their records, so that
    this is quick; a zone's first RRset is its SOA."""
    if one is other:
        return True
    if one.services != other.services or one.hinted != other.hinted:
        return False
    mine, its = one.rrsets, other.rrsets
    return mine == its or (mine[1:] == its[1:] and list(map(_content, mine[:1])) == list(map(_content, its[:1])))


def _content(rrset: RRset) -> object:
    if rrset.type != wire.SOA:
        return rrset
    return rrset.name, rrset.ttl, [data[:-20] + data[-16:] for data in rrset.rdatas]


def names_of(zone: Zone) -> set[bytes]:
    return {one.name for one in zone.rrsets} | {one.name for one in zone.services}


def count_names(dataset: DataSet) -> int:
    return sum(len(names_of(zone)) for zone in dataset.zones.values())


def _changed(old: DataSet, new: DataSet) -> list[bytes]:
    """Apexes of zones that came, went or changed."""
    return [
        name
        for name in old.zones.keys() | new.zones.keys()
        if name not in old.zones or name not in new.zones or not same_content(old.zones[name], new.zones[name])
    ]


def more_names(old: DataSet, new: DataSet) -> int:
    """How many names `new` has more than `old`."""
    return sum(
        (len(names_of(new.zones[name])) if name in new.zones else 0)
        - (len(names_of(old.zones[name])) if name in old.zones else 0)
        for name in _changed(old, new)
    )


def _lost_names(old: DataSet, new: DataSet) -> set[bytes]:
    lost, there = set[bytes](), set[bytes]()
    for name in _changed(old, new):
        lost |= names_of(old.zones[name]) if name in old.zones else set()
        there |= names_of(new.zones[name]) if name in new.zones else set()
    lost -= there
    if not lost:
        return lost
    for zone in new.zones.values():  # it may have been the name of another zone as well
        lost.difference_update(names_of(zone))
    return lost


def _too_few_for(lost: int, old: DataSet) -> int:
    """The number of all names, if they are so few that `lost` is more than may go; else 0, and it need not be counted
    to the end for that."""
    names: set[bytes] = set()
    for zone in old.zones.values():
        names |= names_of(zone)
        if lost <= MAX_LOSS * len(names):
            return 0
    return len(names) if lost else 0


def _lost_members(old: DataSet, new: DataSet) -> Iterator[str]:
    for pool in old.pools.values():
        after = new.pools.get(pool.name, Pool(pool.name, ()))
        names = {member.name for member in after.members}
        addresses = {address for member in after.members for address in (*member.addresses, *member.hosts)}
        for member in pool.members:
            if member.name not in names and addresses.isdisjoint((*member.addresses, *member.hosts)):
                yield f"{pool.name}/{member.name}"


def _share(lost: int, total: int) -> str:
    return f"{lost} of {total} ({100 * lost / total:.0f} %)"


def some(words: list[str], most: int = 5) -> str:
    """`a, b, c and 7 more`."""
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


# ---------------------------------------------------------------------- the copy of the last accepted load


class Accepted:
    """`accepted` in the run folder: a symbolic link to a folder of its own per load, swapped in one step.

    A copy belongs to the directory it was read from: another directory's is not served in its stead.
    """

    def __init__(self, run: Path) -> None:
        self.path = run / ACCEPTED

    def read(self, folder: str) -> Directory | None:
        """The last accepted load of `folder`; None if there is none, or it is damaged."""
        try:
            manifest = json.loads((self.path / MANIFEST).read_bytes())
            if manifest["source"] != _source(folder):
                return None
            found = Directory()
            for one in manifest["files"]:
                data = (self.path / Path(one["name"]).name).read_bytes()
                if hashlib.sha256(data).hexdigest() != one["sha256"]:
                    return None
                shown = f"{folder}/{one['name']}" if folder != "." else one["name"]
                found.files[shown], found.mtimes[shown] = data, int(one["mtime"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found

    def write(self, folder: str, files: Mapping[str, bytes], mtimes: Mapping[str, int]) -> None:
        """Keeps a load; after a crash at any moment the old or the new one is there whole. Raises OSError."""
        fresh = Path(tempfile.mkdtemp(prefix=f"{ACCEPTED}-", dir=self.path.parent))
        try:
            listed = []
            for shown, data in files.items():
                name = Path(shown).name
                if not _taken_over(self.path / name, data, fresh / name):
                    _write_file(fresh / name, data)
                digest = hashlib.sha256(data).hexdigest()
                listed.append({"name": name, "sha256": digest, "mtime": mtimes.get(shown, 0)})
            manifest = {"version": 1, "source": _source(folder), "files": listed}
            _write_file(fresh / MANIFEST, json.dumps(manifest, indent=1).encode())
            _sync_folder(fresh)
            self._swap(fresh)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        for other in self.path.parent.glob(f"{ACCEPTED}-*"):
            if other != fresh:
                shutil.rmtree(other, ignore_errors=True)

    def _swap(self, fresh: Path) -> None:
        link = fresh / "link"
        link.symlink_to(fresh.name)
        if self.path.is_dir() and not self.path.is_symlink():  # put back from a backup that followed the link
            self.path.rename(fresh.with_name(fresh.name + ".old"))
        link.replace(self.path)
        _sync_folder(self.path.parent)


def _source(folder: str) -> str:
    return os.path.abspath(folder)  # noqa: PTH100 - not resolved: a link that is swapped stays the same directory


def _taken_over(old: Path, data: bytes, new: Path) -> bool:
    """Whether the old copy holds just this data and could be linked, so that it need not be written again."""
    try:
        if old.read_bytes() != data:
            return False
        os.link(old, new)
    except OSError:
        return False
    return True


def _write_file(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
