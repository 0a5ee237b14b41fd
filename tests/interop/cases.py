"""The clients that dial, ping and hang up by themselves, and what has to come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.interop.conftest import LAN_HOST
from tests.support.peers import NOT_UP, Lac

_ROUTE: Final = f"ip route add {LAN_HOST} dev $PPP_IFACE"
_PINGS: Final = f"ping -c 2 -i 0.2 -W 2 $PPP_REMOTE && {_ROUTE} && ping -c 3 -i 0.2 -W 2 {LAN_HOST}"
_LINK_LOCAL: Final = "ping -6 -c 2 -i 0.2 -W 2 $PPP_LL_REMOTE%$PPP_IFACE"
_QUICK: Final = ("--up-timeout", "8")


@dataclass(frozen=True, slots=True)
class Case:
    """One client's run: from where it dials, its exit status, what its pppd logs and what we log."""

    address: str
    lac: Lac
    status: int = 0
    pppd: tuple[str, ...] = ()
    log: str = ""


def _refused(password: str, authentication: str, user: str = "alice") -> Lac:
    return Lac(user, password, authentication, _QUICK, "true")


CASES: Final = {
    "pap": Case(
        "10.99.0.16", Lac(authentication="pap", command=_PINGS), pppd=("PAP authentication succeeded",)
    ),
    "chap-md5": Case(
        "10.99.0.17",
        Lac(authentication="chap", command=_PINGS),
        pppd=("<auth chap MD5>", "CHAP authentication succeeded"),
    ),
    "mschapv2": Case(
        "10.99.0.18",
        Lac(authentication="mschapv2", command=_PINGS),
        pppd=("<auth chap MS-v2>", "CHAP authentication succeeded"),
    ),
    "any": Case("10.99.0.19", Lac(command=_PINGS), pppd=("<auth chap MS-v2>",)),
    "static address": Case(
        "10.99.0.20", Lac("static", command=f'[ "$PPP_LOCAL" = 10.0.200.7 ] && {_PINGS}', options=("--dns",))
    ),
    "compression offered": Case(
        "10.99.0.21", Lac(command=_PINGS, options=("--ccp",)), pppd=("rcvd [LCP ProtRej",)
    ),
    "user space data path": Case("10.99.0.22", Lac(command=_PINGS, options=("--userspace",))),
    "tunnel secret": Case("10.99.0.32", Lac(command=_PINGS, options=("--secret", "tunnelpw"))),
    "wrong tunnel secret": Case(
        "10.99.0.33",
        Lac(options=(*_QUICK, "--secret", "other"), command="true"),
        NOT_UP,
        log=r"WARNING .*10\.99\.0\.33.*(challenge|authoriz|secret)",
    ),
    "ipv6": Case("10.99.0.48", Lac(command=f"{_PINGS} && {_LINK_LOCAL}", options=("--ipv6",))),
    "ipv6 only": Case("10.99.0.49", Lac(command=_LINK_LOCAL, options=("--ipv6-only",))),
    "hang-up by pppd": Case("10.99.0.64", Lac(command=_PINGS, options=("--hangup", "pppd"))),
    "hang-up by xl2tpd": Case("10.99.0.65", Lac(command=_PINGS, options=("--hangup", "xl2tpd"))),
    "silence": Case("10.99.0.66", Lac(command=_PINGS, options=("--hangup", "abrupt"))),
    "wrong password, pap": Case(
        "10.99.0.23",
        _refused("wrong", "pap"),
        NOT_UP,
        pppd=("rcvd [PAP AuthNak", "PAP authentication failed"),
        log=r"WARNING .*alice.*password",
    ),
    "wrong password, chap": Case(
        "10.99.0.24",
        _refused("wrong", "chap"),
        NOT_UP,
        pppd=("rcvd [CHAP Failure", "CHAP authentication failed"),
        log=r"WARNING .*alice.*password",
    ),
    "wrong password, mschapv2": Case(
        "10.99.0.25",
        _refused("wrong", "mschapv2"),
        NOT_UP,
        pppd=("rcvd [CHAP Failure", "E=691", "authentication failed"),
        log=r"WARNING .*alice.*password",
    ),
    "unknown user": Case(
        "10.99.0.26",
        _refused("secret", "mschapv2", "mallory"),
        NOT_UP,
        pppd=("rcvd [CHAP Failure", "E=691"),
        log=r"WARNING .*mallory.*unknown",
    ),
    "only eap": Case(
        "10.99.0.27",
        _refused("secret", "eap"),
        NOT_UP,
        pppd=("rcvd [LCP TermReq",),
        log=r"WARNING .*authentication",
    ),
}
