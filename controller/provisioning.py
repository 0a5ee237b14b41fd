"""What an authenticated subscriber gets: limits checked, an address leased, routes set, all of it freed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv4Address

from controller.aaa.outcome import Grant
from controller.addresses import Routes, device_of
from controller.causes import Verdict, verdict_of
from controller.framed_routes import FramedRoutes
from controller.leases import Lease, Leases
from controller.registry import Registry, Session, SessionState
from controller.totals import Totals
from shared.config.subscribers import Profile
from shared.ppp.policy import Authorization, IPv4Service, LinkEnd

Replace = Callable[[Session, str], None]


@dataclass(frozen=True, slots=True)
class NotServed:
    """The credentials are right, and yet there is no service: what to log, to tell, and what the CDN says."""

    reason: str
    text: str
    verdict: Verdict


class Provisioning:
    """Turns a `Grant` into an `Authorization`, and takes back what it gave."""

    def __init__(
        self,
        profiles: Mapping[str, Profile],
        registry: Registry,
        leases: Leases,
        routes: Routes,
        totals: Totals,
    ) -> None:
        self._profiles = profiles
        self._registry = registry
        self._leases = leases
        self._framed = FramedRoutes(routes)
        self._totals = totals

    def provide(self, session: Session, grant: Grant, end: Replace) -> Authorization | NotServed:
        """Give the session what ``grant`` and its profile say. ``end`` ends an older session for it."""
        profile = self._profiles[grant.profile or session.tunnel.rule.profile]
        crowded = self._make_room(session, grant, end)
        if crowded is not None:
            return crowded
        lease = self._lease(session, grant, profile, end)
        if isinstance(lease, NotServed):
            return lease
        session.lease = lease
        self._registry.name_session(session, grant.username)
        for route in grant.routes:
            self._framed.add(route, session.key, device_of(session.worker))
        session.authorization = _authorization(session, grant, profile, lease)
        return session.authorization

    def free(self, session: Session) -> None:
        """Take back the address and the routes."""
        if session.authorization is not None:
            for route in session.authorization.routes:
                self._framed.remove(route, session.key)
        if session.lease is not None:
            self._leases.release(session.lease)
        session.lease = session.authorization = None

    def wish(self, session: Session, wanted: str) -> str:
        """Give the session the address it asks for, if it may and that is free; return what it has then."""
        lease, authorization = session.lease, session.authorization
        if lease is None or authorization is None or authorization.ipv4 is None:
            return ""
        address = _address(wanted)
        if address is None or lease.pool is None or not authorization.ipv4.honour_wish:
            return str(lease.address)
        other = self._leases.wished(lease.pool, address, session.worker, session.username)
        if other is None:
            return str(lease.address)
        self._leases.release(lease)
        session.lease = other
        ipv4 = replace(authorization.ipv4, peer_address=str(other.address))
        session.authorization = replace(authorization, ipv4=ipv4)
        return str(other.address)

    def _make_room(self, session: Session, grant: Grant, end: Replace) -> NotServed | None:
        if grant.max_sessions == 0:
            return None
        others = self._others(session, grant.username)
        excess = len(others) + 1 - grant.max_sessions
        if excess <= 0:
            return None
        if not grant.replace_oldest:
            return _refusal(LinkEnd.ADMINISTRATIVE, f"{len(others)} sessions of this user are up already")
        for other in others[:excess]:
            end(other, "replaced by a newer session of the same user")
        return None

    def _others(self, session: Session, username: str) -> list[Session]:
        mine = self._registry.sessions_of(username)
        return [other for other in mine if other is not session and other.state is not SessionState.FINISHING]

    def _lease(
        self, session: Session, grant: Grant, profile: Profile, end: Replace
    ) -> Lease | NotServed | None:
        if grant.address is not None:
            return self._fixed(session, grant, grant.address, profile, end)
        if profile.pool is not None:
            lease = self._leases.from_pool(profile.pool, session.worker, grant.username)
            if lease is not None:
                return lease
            self._totals.addresses_exhausted += 1
            return _refusal(LinkEnd.NO_ADDRESS, f"no free address in pool {profile.pool}")
        return None if profile.ipv6 else _refusal(LinkEnd.NO_ADDRESS, "neither an address nor a pool")

    def _fixed(
        self,
        session: Session,
        grant: Grant,
        address: IPv4Address,
        profile: Profile,
        end: Replace,
    ) -> Lease | NotServed:
        gateway = profile.gateway or self._leases.gateway_of(address, profile.pool)
        if gateway is None:
            return _refusal(LinkEnd.NO_ADDRESS, f"no pool or gateway to serve {address} by")
        if grant.replace_oldest:
            for other in self._registry.sessions_of(grant.username):
                if other is not session and other.lease is not None and other.lease.address == address:
                    end(other, "replaced by a newer session with the same address")
        lease = self._leases.fixed(address, gateway, session.worker)
        return lease or _refusal(LinkEnd.NO_ADDRESS, f"another session has {address}")


def _refusal(end: LinkEnd, reason: str) -> NotServed:
    text = "No address is free" if end is LinkEnd.NO_ADDRESS else "Too many sessions"
    return NotServed(reason, text, verdict_of(end, text))


def _address(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except AddressValueError:
        return None


def _authorization(session: Session, grant: Grant, profile: Profile, lease: Lease | None) -> Authorization:
    return Authorization(
        username=grant.username,
        ipv4=None if lease is None else _ipv4(profile, lease),
        ipv6=profile.ipv6,
        routes=grant.routes,
        mtu_octets=session.less_numbers(profile.mtu_octets),
        mss_clamp=profile.mss_clamp,
        session_timeout_s=profile.session_timeout_s,
        idle_timeout_s=profile.idle_timeout_s,
    )


def _ipv4(profile: Profile, lease: Lease) -> IPv4Service:
    return IPv4Service(
        local_address=str(lease.gateway),
        peer_address=str(lease.address),
        dns=tuple(map(str, profile.dns)),
        nbns=tuple(map(str, profile.nbns)),
        honour_wish=profile.honour_requested_address,
    )
