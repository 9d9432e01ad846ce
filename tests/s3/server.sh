#!/usr/bin/env bash
# A real S3 server for the tests: Ceph's RADOS gateway over one monitor and one in-memory store, on the loopback interface.
#   server.sh start DIR [PORT]    installs what is missing (Debian), starts it, makes the bucket's user
#   server.sh stop DIR
#   server.sh with COMMAND...     runs a command beside a server of its own, named by $FEATURESTORE_TEST_S3, and stops it
# It shares the cores with whoever asks it: of its usual 512 threads, most would only wake each other, and it keeps no diary of requests.
# Endpoint http://127.0.0.1:PORT, access key "testkey", secret "testsecret". All files lie in DIR.
set -euo pipefail

stop() {
    local file process attempt
    for file in "$folder"/run/*.pid; do
        [ -e "$file" ] || continue
        process=$(cat "$file")
        kill "$process" 2>/dev/null || continue
        for attempt in $(seq 50); do
            kill -0 "$process" 2>/dev/null || break
            sleep 0.1
        done
        kill -9 "$process" 2>/dev/null || true
    done
}

install_missing() {
    command -v radosgw >/dev/null && command -v ceph-osd >/dev/null && command -v ceph-mon >/dev/null && return
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ceph-mon ceph-osd radosgw ceph-common >/dev/null
}

write_configuration() {
    cat >"$folder/ceph.conf" <<CONF
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
keyring = $folder/keyring
mon host = [v2:127.0.0.1:$((port + 1)),v1:127.0.0.1:$((port + 2))]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
mon data = $folder/mon
osd data = $folder/osd
run dir = $folder/run
pid file = $folder/run/\$name.pid
admin socket = $folder/run/\$name.asok
log file = $folder/log/\$name.log
mon cluster log file = $folder/log/cluster.log
osd objectstore = memstore
memstore device bytes = 4294967296
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
mon allow pool size one = true
rgw frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw thread pool size = 8
debug rgw = 0/0
debug ms = 0/0
debug osd = 0/0
debug objecter = 0/0
CONF
}

make_keys() {
    local keyring=$folder/keyring name
    ceph-authtool --create-keyring "$keyring" --gen-key --name mon. --cap mon 'allow *' >/dev/null
    for name in client.admin client.rgw.tests osd.0; do
        ceph-authtool "$keyring" --gen-key --name "$name" --cap mon 'allow *' --cap osd 'allow *' >/dev/null
    done
}

start() {
    install_missing
    stop
    rm -rf "$folder"
    mkdir -p "$folder"/{mon,osd,run,log}
    write_configuration
    make_keys
    export CEPH_CONF=$folder/ceph.conf
    monmaptool --create --fsid "$(awk '/^fsid/ {print $3}' "$CEPH_CONF")" \
        --addv a "[v2:127.0.0.1:$((port + 1)),v1:127.0.0.1:$((port + 2))]" "$folder/monmap" >/dev/null
    ceph-mon --mkfs --id a --monmap "$folder/monmap" --keyring "$folder/keyring"
    ceph-mon --id a
    local uuid
    uuid=$(cat /proc/sys/kernel/random/uuid)
    ceph osd new "$uuid" >/dev/null
    ceph-osd --id 0 --mkfs --osd-uuid "$uuid" >/dev/null 2>&1
    ceph-osd --id 0 2>/dev/null
    timeout 90 radosgw-admin user create --uid=tests --display-name=tests --access-key=testkey --secret-key=testsecret >/dev/null
    radosgw --name client.rgw.tests
    local attempt
    for attempt in $(seq 120); do
        curl --silent --output /dev/null "http://127.0.0.1:$port" && return
        sleep 0.5
    done
    echo "the S3 server did not start; see $folder/log" >&2
    exit 1
}

# The first of three neighbouring ports that nobody listens on.
free_port() {
    local first offset
    for first in $(seq 5705 10 6705); do
        for offset in 0 1 2; do
            (exec 3<>"/dev/tcp/127.0.0.1/$((first + offset))") 2>/dev/null && continue 2
        done
        echo "$first"
        return
    done
}

with_server() {
    folder=$(mktemp -d)
    port=$(free_port)
    trap 'stop; rm -rf "$folder"' EXIT
    start
    FEATURESTORE_TEST_S3=http://127.0.0.1:$port "$@"
}

case ${1:?start, stop or with} in
start | stop)
    folder=$(realpath -m "${2:?a folder}")
    port=${3:-5705}
    "$1"
    ;;
with)
    shift
    with_server "$@"
    ;;
esac
