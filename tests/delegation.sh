#!/usr/bin/env bash
# Runs in a network namespace of its own: NSD with the parent zone on 127.0.0.2:53, rrdns on 127.0.0.3:53 by
# delegation and glue, Unbound on 127.0.0.4:53 that knows only NSD. Prints what a client of Unbound is told.
set -eu
folder=$1
ip link set lo up
cd "$folder"
mkdir -p nsd zones
cat >nsd/nsd.conf <<END
server:
  ip-address: 127.0.0.2
  username: ""
  chroot: ""
  zonesdir: "$folder/nsd"
  database: ""
  pidfile: "$folder/nsd/nsd.pid"
  xfrdfile: "$folder/nsd/xfrd"
  zonelistfile: "$folder/nsd/list"
remote-control:
  control-enable: no
zone:
  name: example.com
  zonefile: example.com.zone
END
cat >nsd/example.com.zone <<END
\$ORIGIN example.com.
@ 300 SOA ns hostmaster 1 3600 600 86400 60
@ 300 NS ns
ns 300 A 127.0.0.2
lb 300 NS ns1.lb
ns1.lb 300 A 127.0.0.3
END
cat >zones/lb.example.com.yaml <<END
'': {type: NS, value: ns1.lb.example.com.}
ns1: {type: A, value: 127.0.0.3}
www: {type: POOL, members: [192.0.2.31, 192.0.2.32]}
END
cat >unbound.conf <<END
server:
  interface: 127.0.0.4
  username: ""
  chroot: ""
  directory: "$folder"
  pidfile: "$folder/unbound.pid"
  use-syslog: no
  do-not-query-localhost: no
  module-config: "iterator"
stub-zone:
  name: "example.com."
  stub-addr: 127.0.0.2
END
export PATH="$PATH:/usr/sbin"
nsd -d -c nsd/nsd.conf >&2 &
unbound -d -c unbound.conf >&2 &
"${PYTHON:-python3}" -m rrdns serve zones --listen 127.0.0.3:53 --state state --control control.sock >&2 &
trap 'kill $(jobs -p); wait' EXIT
for _ in $(seq 60); do
  answer=$(dig @127.0.0.4 +short +time=1 +tries=1 www.lb.example.com A || true)
  case "$answer" in 192.*) echo "$answer"; exit 0 ;; esac
  sleep 0.5
done
echo "no answer through the delegation" >&2
exit 1
