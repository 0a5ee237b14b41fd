#!/bin/bash
# Boot one peer VM and run a job in it; exit with the job's status.
#   vm.sh [options] -- JOB...
#     --backend uml|qemu    (uml)
#     --netns NS            namespace that holds the TAP (none: this one)
#     --tap TAP             TAP that becomes the VM's eth0 (made, and put on br0 if there is one, unless it exists)
#     --addr "A/P ..."      addresses of eth0 (v4 and v6)      --gw "G ..."  default gateways
#     --tap2 TAP --addr2 "A/P ..."   the same for eth1: a LAN behind the peer, which then forwards (and put on br1)
#     --link-mtu N  --mac M  --hostname NAME
#     --mem MB              (192; qemu 384)
#     --dir DIR             shared folder: logs, stdout, stderr, rc (a new one under /tmp/peers/run)
#     --timeout S           (120) for the job; the VM is ended 15 s past it
#     --modules "M ..."     modules to load
#     --pcap FILE           capture the TAP into FILE meanwhile
#     --quiet               do not print the job's output, only keep it in DIR
#     --keep-tap            leave a TAP that this call made
# JOB is a command line for bash. Exits 125 where the VM never reached the job's end.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
backend=uml netns= tap= tap2= addr2= addr= gw= link_mtu= mac= mem= dir= timeout=120 modules= pcap= quiet= keep= hostname=peer
KDIR=${PEERS_KDIR:-/opt/peers/kernel}
while [ $# -gt 0 ]; do
    case $1 in
        --backend) backend=$2; shift 2 ;;
        --netns) netns=$2; shift 2 ;;
        --tap) tap=$2; shift 2 ;;
        --addr) addr=$2; shift 2 ;;
        --tap2) tap2=$2; shift 2 ;;
        --addr2) addr2=$2; shift 2 ;;
        --gw) gw=$2; shift 2 ;;
        --link-mtu) link_mtu=$2; shift 2 ;;
        --mac) mac=$2; shift 2 ;;
        --mem) mem=$2; shift 2 ;;
        --hostname) hostname=$2; shift 2 ;;
        --dir) dir=$2; shift 2 ;;
        --timeout) timeout=$2; shift 2 ;;
        --modules) modules=$2; shift 2 ;;
        --pcap) pcap=$2; shift 2 ;;
        --quiet) quiet=1; shift ;;
        --keep-tap) keep=1; shift ;;
        --) shift; break ;;
        *) echo "vm.sh: no such option: $1" >&2; exit 64 ;;
    esac
done
mkdir -p /tmp/peers/run
[ -n "$dir" ] || dir=$(mktemp -d /tmp/peers/run/vm.XXXXXX)
mkdir -p "$dir"; dir=$(cd "$dir" && pwd)
rm -f "$dir"/{rc,stdout,stderr,console.log,pid,tcpdump.log}

nsx() { if [ -n "$netns" ]; then ip netns exec "$netns" "$@"; else "$@"; fi; }
made=
make_tap() {    # TAP BRIDGE
    if ! nsx test -e "/sys/class/net/$1"; then
        nsx ip tuntap add dev "$1" mode tap || exit 125
        nsx sysctl -qw "net.ipv6.conf.$1.disable_ipv6=1"
        nsx test -e "/sys/class/net/$2" && nsx ip link set "$1" master "$2"
        made="$made $1"
    fi
    nsx ip link set "$1" up
}
[ -z "$tap" ] || make_tap "$tap" br0
[ -z "$tap2" ] || make_tap "$tap2" br1
cap=
if [ -n "$pcap" ]; then
    ${netns:+ip netns exec "$netns"} tcpdump -Z root -U -s 0 -i "$tap" -w "$pcap" 2> "$dir/tcpdump.log" &
    cap=$!
    for _ in $(seq 50); do grep -q 'listening on' "$dir/tcpdump.log" 2>/dev/null && break; sleep 0.05; done
fi

# What the guest's init only has to hand on.
dev=; [ -n "$tap" ] && case $backend in uml) dev=vec0 ;; qemu) dev=eth0 ;; esac
printf '%s\n' "$*" > "$dir/job"
printf 'PEERS=%q\nNAME=%q\nTIMEOUT=%q\nMODULES=%q\nLINK=%q\nFORWARD=%q\n' "$here" "$hostname" "$timeout" "$modules" "${dev:+eth0}" "$tap2" > "$dir/env"
{
    echo "link set lo up"
    [ "$dev" = vec0 ] && echo "link set vec0 name eth0"
    [ "$dev" = vec0 ] && [ -n "$tap2" ] && echo "link set vec1 name eth1"
    [ -n "$dev$link_mtu" ] && [ -n "$link_mtu" ] && echo "link set eth0 mtu $link_mtu"
    [ -n "$dev" ] && [ -n "$mac" ] && echo "link set eth0 address $mac"
} > "$dir/ip"
{
    echo "link set eth0 up"
    for a in $addr; do echo "addr add $a dev eth0"; done
    if [ -n "$tap2" ]; then
        echo "link set eth1 up"
        for a in $addr2; do echo "addr add $a dev eth1"; done
    fi
    for g in $gw; do echo "route add default via $g"; done
} > "$dir/ip2"

case $backend in
uml)
    mkdir -p /lib/modules
    {
        cat "$here/guest/fstab"
        echo "none $dir hostfs $dir,X-mount.mkdir 0 0"
        echo "none /lib/modules hostfs /usr/lib/uml/modules 0 0"
        # The repository may lie in a folder that the guest's own tmpfs hides (/tmp).
        echo "none $here hostfs $here,X-mount.mkdir,ro 0 0"
    } > "$dir/fstab"
    # setarch -R: with a random heap start UML sets aside a random amount of memory.
    preload=
    if grep -qwm1 amx_tile /proc/cpuinfo; then      # see xstate.c
        preload=$dir/xstate.so
        gcc -O2 -shared -fPIC -o "$preload" "$here/xstate.c" || exit 125
    fi
    cmd=(env ${preload:+"LD_PRELOAD=$preload"} setarch -R linux.uml mem="${mem:-192}M" root=/dev/root rootfstype=hostfs rootflags=/ ro quiet loglevel=4
         noreboot panic=1 init="$here/guest/init.sh" con=null con0=null,fd:1 uml_dir="$dir/uml" umid=vm
         lab="$dir" peer=uml)
    [ -n "$tap" ] && cmd+=("vec0:transport=tap,ifname=$tap,depth=64,gro=1")
    [ -n "$tap2" ] && cmd+=("vec1:transport=tap,ifname=$tap2,depth=64,gro=1")
    ;;
qemu)
    kernel=$(ls "$KDIR"/boot/vmlinuz-* | tail -1); kver=${kernel##*/vmlinuz-}
    [ "$KDIR/initrd-$kver" -nt "$here/initrd.sh" ] || "$here/initrd.sh" "$KDIR" "$kver" || exit 125
    {
        cat "$here/guest/fstab"
        echo "lab $dir 9p trans=virtio,version=9p2000.L,msize=262144,cache=none,X-mount.mkdir 0 0"
        echo "$KDIR/lib/modules /lib/modules none bind 0 0"
    } > "$dir/fstab"
    mkdir -p /lib/modules
    cmd=(qemu-system-x86_64 -accel tcg,thread=single -cpu max -M q35 -m "${mem:-384}" -smp 1
         -nodefaults -no-user-config -display none -no-reboot -serial stdio -bios /usr/share/qemu/qboot.rom
         -kernel "$KDIR/vmlinux-$kver" -initrd "$KDIR/initrd-$kver"
         -append "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off labinit=$here/guest/init.sh lab=$dir peer=qemu"
         -fsdev "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap" -device virtio-9p-pci,fsdev=root,mount_tag=root
         -fsdev "local,id=lab,path=$dir,security_model=none" -device virtio-9p-pci,fsdev=lab,mount_tag=lab
         -device virtio-rng-pci)
    [ -n "$tap" ] && cmd+=(-netdev "tap,id=n0,ifname=$tap,script=no,downscript=no" -device "virtio-net-pci,netdev=n0${mac:+,mac=$mac}")
    [ -n "$tap2" ] && cmd+=(-netdev "tap,id=n1,ifname=$tap2,script=no,downscript=no" -device "virtio-net-pci,netdev=n1,mac=52:54:00:12:34:57")
    ;;
*) echo "vm.sh: no such backend: $backend" >&2; exit 64 ;;
esac

${netns:+ip netns exec "$netns"} "${cmd[@]}" < /dev/null > "$dir/console.log" 2>&1 &
vm=$!
echo $vm > "$dir/pid"
trap 'kill -TERM $vm 2>/dev/null' TERM INT HUP
SECONDS=0
while kill -0 $vm 2>/dev/null; do
    [ $SECONDS -gt $((timeout + 15)) ] && { echo "vm.sh: VM past its time: ended" >&2; kill -KILL $vm; }
    sleep 0.05
done
wait $vm 2>/dev/null
rm -f "$dir/ready" "$dir/pid"
if [ -n "$cap" ]; then sleep 0.2; kill -INT "$cap"; wait "$cap" 2>/dev/null; fi
[ -n "$keep" ] || for t in $made; do nsx ip link del "$t" 2>/dev/null; done
if [ -z "$quiet" ]; then
    cat "$dir/stdout" 2>/dev/null
    cat "$dir/stderr" >&2 2>/dev/null
fi
rc=$(cat "$dir/rc" 2>/dev/null)
[ -n "$rc" ] || { echo "vm.sh: the VM did not finish its job; see $dir/console.log" >&2; rc=125; }
exit "$rc"
