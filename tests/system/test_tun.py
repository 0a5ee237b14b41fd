"""What the operator reads where a TUN device can't be had."""

from __future__ import annotations

import errno

import pytest

from shared.errors import SystemRefused
from system.tun import explain, open_tun


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOENT, "TUN device culvert0: /dev/net/tun is missing; load the module (modprobe tun)"),
        (errno.EACCES, "may not be opened by this user; run as root, or chmod 0666 it"),
        (errno.EPERM, "needs CAP_NET_ADMIN in this network namespace"),
        (errno.EBUSY, "is another culvert running"),
        (errno.ENOMEM, "refuses: Cannot allocate memory"),
    ],
)
def test_each_refusal_says_what_to_do(code: int, advice: str) -> None:
    assert advice in explain(OSError(code, "Cannot allocate memory"), "culvert0")


@pytest.mark.parametrize("name", ["", "culvert-with-a-long-name"])
def test_a_name_that_the_kernel_would_cut_is_refused(name: str) -> None:
    with pytest.raises(SystemRefused, match="1 to 15 octets"):
        open_tun(name)
