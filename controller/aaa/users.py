"""The subscribers of the configuration: exact names first, then patterns in the order they stand in."""

from __future__ import annotations

import re
from collections.abc import Iterable

from controller.aaa.outcome import Accepted, Answer, Attempt, Grant, Outcome, Refused
from controller.aaa.verify import Secret, verify
from shared.config.subscribers import User


class LocalUsers:
    r"""A source (`controller.aaa.outcome.Source`) that answers at once.

    With ``strip_domain`` ``DOMAIN\alice``, as Windows has it, is alice where no user has the whole name.
    """

    def __init__(self, users: Iterable[User], *, strip_domain: bool = False) -> None:
        users = tuple(users)
        self._strip_domain = strip_domain
        self._by_name = {user.name: user for user in users if not user.is_pattern}
        self._patterns = [(_compiled(user.name), user) for user in users if user.is_pattern]

    def authenticate(self, attempt: Attempt, answer: Answer) -> None:
        """Answer whether the credentials are right; None for a name that is not ours."""
        answer(self._outcome(attempt))

    def _outcome(self, attempt: Attempt) -> Outcome | None:
        name = attempt.username
        user = self._find(name)
        if user is None and self._strip_domain:
            name = name.rpartition("\\")[2]
            user = self._find(name)
        if user is None:
            return None
        proof = verify(_secret(user), attempt)
        return Refused(proof.failure) if proof.failure else Accepted(_grant(user, name), proof.message)

    def _find(self, name: str) -> User | None:
        exact = self._by_name.get(name)
        if exact is not None:
            return exact
        return next((user for pattern, user in self._patterns if pattern.fullmatch(name)), None)


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def _secret(user: User) -> Secret:
    password = None if user.password is None else user.password.get_secret_value()
    return Secret(password, None if user.nt_hash is None else bytes.fromhex(user.nt_hash.get_secret_value()))


def _grant(user: User, username: str) -> Grant:
    return Grant(
        username=username,
        profile=user.profile,
        address=user.address,
        routes=tuple(str(route) for route in user.routes),
        max_sessions=user.max_sessions,
        replace_oldest=user.when_full == "replace",
    )
