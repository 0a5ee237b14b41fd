"""From a worker's `AuthRequest` to its `AuthDecision`: the chain is asked, the subscriber provided for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from controller.aaa.chain import Chain
from controller.aaa.outcome import Accepted, Attempt, Grant, Outcome, Refused
from controller.aaa.refusal import bad_credentials, not_served
from controller.ports import Workers
from controller.provisioning import NotServed, Provisioning
from controller.quiet import QuietLog, shown, told
from controller.registry import Registry, Session, SessionState
from controller.totals import Totals
from shared.addresses import address_text
from shared.ipc.messages import AddressDecision, AddressWish, AuthDecision, AuthRequest
from shared.ppp.policy import Authorization


class Authentication:
    """Decides once for each request: a repeated one gets the same answer, or none while it is awaited."""

    def __init__(
        self,
        chain: Chain,
        provisioning: Provisioning,
        registry: Registry,
        workers: Workers,
        replace: Callable[[Session, str], None],
        totals: Totals,
        quiet: QuietLog,
    ) -> None:
        self._chain = chain
        self._provisioning = provisioning
        self._registry = registry
        self._workers = workers
        self._replace = replace
        self._totals = totals
        self._quiet = quiet

    def request(self, session: Session, message: AuthRequest, now: float) -> None:  # noqa: ARG002
        """Take credentials that a subscriber presents."""
        if session.state is SessionState.FINISHING:
            return
        if session.request_id == message.request_id:
            if session.decision is not None:
                self._workers.send(session.worker, session.decision)
            return
        session.request_id = message.request_id
        session.decision = session.verdict = None
        session.ending = ""  # what refused an earlier attempt says nothing of this one
        self._totals.authentications += 1
        if session.authorization is None:
            session.username = message.username  # as it says; `Provisioning` notes it once it is proven
        attempt = Attempt(
            message.protocol, message.username, message.identifier, message.challenge, message.response
        )
        self._chain.authenticate(attempt, partial(self._answered, session, message))

    def wish(self, session: Session, message: AddressWish, now: float) -> None:  # noqa: ARG002
        """Take the wish for another address."""
        address = self._provisioning.wish(session, message.address)
        self._workers.send(session.worker, AddressDecision(*session.key, address))

    def _answered(self, session: Session, request: AuthRequest, outcome: Outcome | None) -> None:
        gone = self._registry.session(*session.key) is not session
        if gone or session.request_id != request.request_id:
            return  # whoever answered took too long
        match outcome:
            case Accepted(grant, message):
                self._accepted(session, request, grant, message)
            case Refused(reason):
                self._refuse(session, request, bad_credentials(request.protocol), reason)
            case None:
                raise AssertionError("the chain always decides")

    def _accepted(self, session: Session, request: AuthRequest, grant: Grant, message: str) -> None:
        if session.authorization is None:
            provided = self._provisioning.provide(session, grant, self._replace)
        elif session.username == grant.username:  # challenged again, or by a successor of the worker
            provided = session.authorization
        else:
            self._refuse(
                session, request, bad_credentials(request.protocol), f"was {session.username!r} before"
            )
            return
        if isinstance(provided, NotServed):
            session.verdict = provided.verdict
            self._refuse(session, request, not_served(request.protocol, provided.text), provided.reason)
        else:
            self._decide(session, request, message, "", provided)

    def _refuse(self, session: Session, request: AuthRequest, message: str, reason: str) -> None:
        self._totals.authentications_refused += 1
        self._quiet.warning(
            "authentication refused",
            "authentication refused tunnel=%d session=%d username=%s protocol=%s peer=%s reason=%s",
            *session.key,
            shown(request.username),
            shown(request.protocol),
            address_text(session.tunnel.connection.peer),
            told(reason),
        )
        session.ending = reason
        self._decide(session, request, message, reason, None)

    def _decide(
        self,
        session: Session,
        request: AuthRequest,
        message: str,
        reason: str,
        authorization: Authorization | None,
    ) -> None:
        accepted = authorization is not None
        session.decision = AuthDecision(
            *session.key, request.request_id, accepted, message, reason, authorization
        )
        self._workers.send(session.worker, session.decision)
