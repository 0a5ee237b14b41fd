"""What holds for a peer, by its source address: the longest matching ``[[peer]]`` over ``[l2tp]``."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from shared.addresses import Address
from shared.config.model import Config
from shared.config.sections import Peer
from shared.config.subscribers import Profile
from shared.l2tp.connection import ConnectionSettings
from shared.ppp.policy import LinkPolicy


@dataclass(slots=True, eq=False)
class PeerRule:
    """The settings of one ``[[peer]]``, and how much its peers use together."""

    peer: Peer
    settings: ConnectionSettings
    policy: LinkPolicy
    profile: str
    tunnels: int = 0
    sessions: int = 0

    @property
    def full_of_tunnels(self) -> bool:
        """Whether no further tunnel is allowed."""
        return 0 < self.peer.max_tunnels <= self.tunnels

    @property
    def full_of_sessions(self) -> bool:
        """Whether no further session is allowed."""
        return 0 < self.peer.max_sessions <= self.sessions


class PeerRules:
    """The rule for every source there can be."""

    def __init__(self, config: Config) -> None:
        self._everybody = _rule(Peer(prefix=ipaddress.IPv6Network("::/0")), config)
        rules = [_rule(peer, config) for peer in config.peer]
        self._by_prefix = {_prefix_key(rule.peer.prefix): rule for rule in rules}
        self._lengths = {version: _lengths(config.peer, version) for version in (4, 6)}

    def find(self, source: Address) -> PeerRule:
        """Return the rule with the longest prefix that ``source`` is in."""
        version, packed = _packed(source[0])
        number, width = int.from_bytes(packed, "big"), 8 * len(packed)
        for length in self._lengths[version]:
            rule = self._by_prefix.get((version, length, number >> width - length))
            if rule is not None:
                return rule
        return self._everybody


def _packed(host: str) -> tuple[int, bytes]:
    """Return the IP version and octets of an address; `ipaddress` takes twenty times as long."""
    if ":" in host:
        return 6, socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return 4, socket.inet_pton(socket.AF_INET, host)


def _prefix_key(prefix: ipaddress.IPv4Network | ipaddress.IPv6Network) -> tuple[int, int, int]:
    shift = prefix.max_prefixlen - prefix.prefixlen
    return prefix.version, prefix.prefixlen, int(prefix.network_address) >> shift


def _lengths(peers: Sequence[Peer], version: int) -> list[int]:
    lengths = {peer.prefix.prefixlen for peer in peers if peer.prefix.version == version}
    return sorted(lengths, reverse=True)


def _rule(peer: Peer, config: Config) -> PeerRule:
    profile = config.profile[peer.profile]
    return PeerRule(peer, _settings(peer, config), _policy(profile, config), peer.profile)


def _settings(peer: Peer, config: Config) -> ConnectionSettings:
    general = config.l2tp
    secret = None if peer.secret is None else peer.secret.get_secret_value().encode()
    hello = general.hello_interval_s if peer.hello_interval_s is None else peer.hello_interval_s
    return ConnectionSettings(
        hostname=general.hostname,
        secret=secret,
        receive_window=peer.receive_window or general.receive_window,
        hello_interval_s=hello,
        hide_avps=general.hide_avps if peer.hide_avps is None else peer.hide_avps,
        setup_timeout_s=general.setup_timeout_s,
        max_sessions=general.max_sessions_per_tunnel,
    )


def _policy(profile: Profile, config: Config) -> LinkPolicy:
    return LinkPolicy(
        mru_octets=profile.mru_octets,
        authentication=tuple(profile.authentication),
        local_name=config.l2tp.hostname,
        send_acfc=profile.acfc,
        send_pfc=profile.pfc,
        restart_interval_s=profile.restart_interval_s,
        max_configure=profile.max_configure,
        max_terminate=profile.max_terminate,
        max_failure=profile.max_failure,
        establish_timeout_s=profile.establish_timeout_s,
        authenticate_timeout_s=profile.authenticate_timeout_s,
        network_timeout_s=profile.network_timeout_s,
        echo_interval_s=profile.echo_interval_s,
        echo_failures=profile.echo_failures,
        rechallenge_interval_s=profile.rechallenge_interval_s,
    )
