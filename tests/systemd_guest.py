"""The first process of a machine without a kernel of its own: namespaces, a throw-away copy of this disk, systemd.

Started by real_systemd.py as pid 1 of a pid namespace, as root; the standard library only. It lays a tmpfs over the
disk (overlayfs: whatever is written is gone with the machine), puts an installation of rrdns at /opt/rrdns as the unit
wants it, and becomes systemd. Arguments: an empty folder, a cgroup of its own, the interpreter's prefix, the folder of
its packages, the folder with the package rrdns, the folder with the unit.
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

_CLONE_NEWCGROUP = 0x02000000
_libc = ctypes.CDLL(None, use_errno=True)

MOUNTS = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs {work}
mkdir {work}/upper {work}/work {work}/site {work}/sitework {work}/root
mount -t overlay -o lowerdir=/,upperdir={work}/upper,workdir={work}/work overlay {work}/root
cd {work}/root
mount -t proc -o nosuid,nodev,noexec proc proc
echo 0 2147483647 >proc/sys/net/ipv4/ping_group_range  # as many distributions set it, for a `ping` without rights
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for one in run tmp var/log var/lib/systemd etc/systemd/system lib/systemd/system-generators; do
  mkdir -p $one; mount -t tmpfs -o mode=755 tmpfs $one
done
chmod 1777 tmp
mount -t tmpfs -o mode=755 tmpfs dev
for one in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do
  set -- $one; mknod -m 666 dev/$1 c $2 $3
done
ln -s /proc/self/fd dev/fd; ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts; ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs dev/shm
: >etc/fstab
mkdir -p opt/rrdns/bin opt/python
mkdir -p opt/rrdns/lib/{version}/site-packages
mount --rbind {base} opt/python
echo /opt/python/lib >etc/ld.so.conf.d/00-python.conf; ldconfig -r .
mount -t overlay -o lowerdir={packages},upperdir={work}/site,workdir={work}/sitework overlay \
  opt/rrdns/lib/{version}/site-packages
cd opt/rrdns
rm -f lib/{version}/site-packages/__editable__*rrdns*
cp -r {package} lib/{version}/site-packages/rrdns
ln -s /opt/python/bin/{version} bin/python
printf 'home = /opt/python/bin\\ninclude-system-site-packages = false\\n' >pyvenv.cfg
printf '#!/opt/rrdns/bin/python\\nimport sys\\nfrom rrdns.cli import main\\nsys.exit(main())\\n' >bin/rrdns
chmod 755 bin/rrdns
cd {work}/root
cp {unit}/rrdns.service etc/systemd/system/
mkdir -p etc/sysusers.d; cp {unit}/rrdns.sysusers etc/sysusers.d/rrdns.conf
for one in lib/systemd/system/sysinit.target.wants/* lib/systemd/system/sockets.target.wants/*; do
  one=${{one##*/}}
  case $one in systemd-journald.*|systemd-sysusers.*) ;; *) ln -s /dev/null etc/systemd/system/$one ;; esac
done
printf '[Unit]\\nRequires=basic.target\\nAfter=basic.target\\nAllowIsolate=yes\\n' >etc/systemd/system/machine.target
ip link set lo up
mkdir -p mnt/old
pivot_root . mnt/old
cd /
umount -l mnt/old
"""


def main(argv: list[str]) -> None:
    work, cgroup, base, packages, package, unit = argv
    Path(cgroup, "cgroup.procs").write_text("0")
    if _libc.unshare(_CLONE_NEWCGROUP):
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWCGROUP)")
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    script = MOUNTS.format(work=work, base=base, packages=packages, package=package, unit=unit, version=version)
    subprocess.run(["/bin/sh", "-c", script], stdin=subprocess.DEVNULL, check=True)
    os.chdir("/")
    env = {"container": "rrdns-test", "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    words = ["systemd", "--system", "--unit=machine.target", "--log-target=journal", "--show-status=no"]
    os.execve("/lib/systemd/systemd", words, env)


if __name__ == "__main__":
    main(sys.argv[1:])
