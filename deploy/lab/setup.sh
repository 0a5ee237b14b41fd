#!/bin/bash
# Make what the Makefile's targets need, saying what is done: nothing where it is there already.
#   setup.sh python     .venv with this project and its development tools
#   setup.sh lab        ip, nft, ping, unshare, nsenter, setpriv: what the network namespaces need
# What Debian lacks is installed when root; otherwise this says which command installs it, and fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { echo "culvert: $*"; }

# install WHY PACKAGE...
install() {
    local why=$1; shift
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        say "$why: installing Debian's $*"
        DEBIAN_FRONTEND=noninteractive
        export DEBIAN_FRONTEND
        apt-get update -qq
        apt-get install -qq -y --no-install-recommends "$@" > /dev/null
    else
        say "$why. Install it as root, then try again:" >&2
        echo "    apt-get update && apt-get install $*" >&2
        exit 1
    fi
}

# The first Python of 3.11 or later on PATH that can make virtual environments ($1: what it has to import).
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13}; do
        if "$candidate" -c "import sys, $1; sys.exit(sys.version_info < (3, 11))" 2> /dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

make_python() {
    local python
    if ! python=$(find_python "venv, ensurepip"); then
        if find_python sys > /dev/null; then install "Python has no venv module" python3-venv
        else install "Python 3.11 or later is missing" python3 python3-venv; fi
        python=$(find_python "venv, ensurepip") || { say "still no Python 3.11 or later: name one with PYTHON=..." >&2; exit 1; }
    fi
    # A virtual environment does not survive that its folder is moved, or its Python removed.
    if ! .venv/bin/python -c 'import sys, pathlib; sys.exit(pathlib.Path(sys.prefix) != pathlib.Path(".venv").resolve())' 2> /dev/null; then
        say "making .venv with $("$python" --version)"
        rm -rf .venv
        "$python" -m venv .venv
    fi
    say "installing this project and its tools into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input -e '.[dev]'
}

make_lab() {
    local pair missing=()
    PATH=$PATH:/usr/sbin:/sbin
    for pair in ip:iproute2 nft:nftables ping:iputils-ping unshare:util-linux nsenter:util-linux setpriv:util-linux mount:mount; do
        command -v "${pair%%:*}" > /dev/null || missing+=("${pair#*:}")
    done
    [ ${#missing[@]} = 0 ] || install "network namespaces need more than is here" "${missing[@]}"
}

case ${1:-} in
python) make_python ;;
lab) make_lab ;;
*) sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
