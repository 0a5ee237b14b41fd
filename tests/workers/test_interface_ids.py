from workers.interface_ids import InterfaceIds

ONE, TWO = (1, 1), (1, 2)


def test_the_first_to_ask_holds_an_identifier() -> None:
    ids = InterfaceIds()
    assert ids.claim(ONE, 0xA)
    assert not ids.claim(TWO, 0xA)
    assert ids.claim(ONE, 0xA)


def test_a_session_holds_one_identifier_at_a_time() -> None:
    ids = InterfaceIds()
    ids.claim(ONE, 0xA)
    ids.claim(ONE, 0xB)
    assert ids.claim(TWO, 0xA)
    assert not ids.claim(TWO, 0xB)


def test_what_is_released_is_free() -> None:
    ids = InterfaceIds()
    ids.claim(ONE, 0xA)
    ids.release(ONE)
    ids.release(ONE)
    assert ids.claim(TWO, 0xA)
