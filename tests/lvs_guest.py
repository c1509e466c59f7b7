"""The first process of a director in user-mode-linux: a kernel with IPVS, ipvsadm and keepalived of the host's disk.

Started as init by real_lvs.py; the standard library only. It loads the kernel's modules, puts addresses on an
interface, and then does two things in the folder it shares with the host, again and again:

    proc/net/ip_vs, ip_vs_stats    copies of the kernel's tables, whenever they change, each renamed into place
    orders/N.sh                    a script to run: what it says in N.out and N.err, then its exit code in N.code

Nothing is written to the console once all is set up: it is slow, and who writes there may hang. The process
also is the web servers that keepalived checks: SERVERS answer 200 on port 80 as long as web/ADDRESS is not there.
"""

import ctypes
import os
import platform
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

SHARED = Path("/mnt")
SERVERS = ("10.9.0.11", "10.9.0.12", "10.9.0.13")
MODULES = ("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_lc", "ip_vs_wlc", "ip_vs_sh", "dummy")
NETWORK = """
ip link set lo up
ip link add dummy0 type dummy; ip link add dummy1 type dummy
ip link set dummy0 multicast on up; ip link set dummy1 up
ip addr add 10.9.0.1/24 dev dummy0
ip addr add 203.0.113.10/32 dev dummy0
"""
_FINIT_MODULE, _POWER_OFF = 313, 0x4321FEDC
_libc = ctypes.CDLL(None, use_errno=True)


def sh(script: str) -> str:
    done = subprocess.run(["/bin/sh", "-c", script], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        print(f"{script}: {done.returncode} {done.stdout} {done.stderr}", flush=True)
    return done.stdout


def mount() -> None:
    shared = next(word for word in Path("/proc/cmdline").read_text().split() if word.startswith("shared="))
    sh(
        "mount -t sysfs sysfs /sys; for one in /run /tmp /var/log; do mount -t tmpfs tmpfs $one; done;"
        f"mount -t hostfs -o {shared.removeprefix('shared=')} hostfs {SHARED}"
    )


def load_modules() -> None:
    """Without modprobe, which would look for the host's kernel: a module after those it needs."""
    folder = Path("/usr/lib/uml/modules", platform.release())
    needs = dict(line.split(":", 1) for line in (folder / "modules.dep").read_text().splitlines())
    there = {Path(path).stem: path for path in needs}
    loaded = set()
    for module in MODULES:
        path = there[module]
        for one in [*reversed(needs[path].split()), path]:
            if one not in loaded:
                loaded.add(one)
                with (folder / one).open("rb") as file:
                    if _libc.syscall(_FINIT_MODULE, file.fileno(), b"", 0):
                        print(f"{one}: {os.strerror(ctypes.get_errno())}", flush=True)


def serve(address: str) -> None:
    """A web server that refuses while the host says so."""
    shut = SHARED / "web" / address
    listener = None
    while True:
        if shut.exists():
            if listener is not None:
                listener.close()
                listener = None
            time.sleep(0.1)
            continue
        if listener is None:
            listener = socket.create_server((address, 80))
            listener.settimeout(0.2)
        try:
            client, _ = listener.accept()
        except TimeoutError:
            continue
        with client:
            try:
                client.settimeout(2)
                client.recv(4096)
                client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
            except OSError:
                pass


def export(known: dict[str, bytes]) -> None:
    for name in ("ip_vs_stats", "ip_vs"):
        data = Path("/proc/net", name).read_bytes()
        if known.get(name) != data:
            known[name] = data
            place(SHARED / "proc" / "net" / name, data)


def place(path: Path, data: bytes) -> None:
    """Beside, and renamed into place: nobody reads half of it."""
    beside = path.with_name(f".{path.name}")
    beside.write_bytes(data)
    beside.rename(path)


def obey(done: set[str]) -> None:
    for order in sorted((SHARED / "orders").glob("*.sh")):
        if order.name in done:
            continue
        done.add(order.name)
        argv = ["/bin/sh", "-c", order.read_text()]
        result = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True)
        place(order.with_suffix(".err"), result.stderr)
        place(order.with_suffix(".out"), result.stdout)
        place(order.with_suffix(".code"), str(result.returncode).encode())


def main() -> None:
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    sh("mount -t proc proc /proc")
    mount()
    (SHARED / "booted").touch()
    load_modules()
    sh(NETWORK + "\n".join(f"ip addr add {one}/32 dev dummy0" for one in SERVERS))
    for one in SERVERS:
        threading.Thread(target=serve, args=(one,), daemon=True).start()
    known: dict[str, bytes] = {}
    done: set[str] = set()
    while not (SHARED / "off").exists():
        obey(done)
        export(known)
        time.sleep(0.05)


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:
        print(f"guest: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os.sync()
        _libc.reboot(_POWER_OFF)
