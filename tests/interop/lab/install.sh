#!/bin/bash
# Install what the peer lab needs (Debian 12). Starts no service.
#   install.sh          the UML lab: user-mode-linux, xl2tpd, pppd, strongSwan, tools (about 0.25 GB)
#   install.sh missing  the same, at once and without a word where all of it is here
#   install.sh qemu     also the qemu lab: qemu and Debian's kernel (unpacked, not installed; about 1 GB)
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin
if [ "${1:-}" = missing ]; then
    here=yes
    for program in linux.uml xl2tpd pppd modprobe ip ping iperf3 tcpdump tshark busybox iptables-legacy ipsec; do
        command -v $program > /dev/null || here=
    done
    ! grep -qwm1 amx_tile /proc/cpuinfo || command -v gcc > /dev/null || here=
    [ -z "$here" ] || exit 0
fi
[ "$(id -u)" = 0 ] || { echo "install.sh: installing Debian packages needs root: sudo make interop" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
KDIR=${PEERS_KDIR:-/opt/peers/kernel}

# Packages such as xl2tpd and strongSwan start a daemon when installed: forbid it while we install.
POLICY=/usr/sbin/policy-rc.d
if [ ! -e $POLICY ]; then
    printf '#!/bin/sh\nexit 101\n' > $POLICY; chmod +x $POLICY
    trap 'rm -f $POLICY' EXIT
fi

build=(); ! grep -qwm1 amx_tile /proc/cpuinfo || build=(gcc libc6-dev)     # for xstate.c
apt-get update -q
apt-get install -q -y --no-install-recommends \
    user-mode-linux xl2tpd ppp kmod iproute2 iputils-ping iperf3 tcpdump tshark \
    busybox-static procps iptables \
    ${build[@]+"${build[@]}"} strongswan-starter strongswan-charon libstrongswan-standard-plugins strongswan-libcharon

if [ "${1:-}" = qemu ]; then
    apt-get install -q -y --no-install-recommends qemu-system-x86 seabios
    # The kernel package is only unpacked: installing it would build an initrd and touch the boot loader.
    # (Not the cloud kernel: it has neither PPP nor 9p.)
    pkg=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: //p' | head -1)
    if [ ! -e "$KDIR/.$pkg" ]; then
        rm -rf "$KDIR"; mkdir -p "$KDIR"
        tmp=$(mktemp -d)
        (cd "$tmp" && apt-get download -q "$pkg" && dpkg-deb -x ./*.deb "$KDIR")
        rm -rf "$tmp"
        for v in "$KDIR"/lib/modules/*; do depmod -b "$KDIR" "$(basename "$v")"; done
        touch "$KDIR/.$pkg"
    fi
fi
