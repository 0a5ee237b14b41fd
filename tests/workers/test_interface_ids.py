from workers.interface_ids import InterfaceIds

ONE, TWO = (1, 1), (1, 2)


def test_the_first_to_ask_holds_an_identifier() -> None:
    ids = InterfaceIds()
    assert not ids.taken(ONE, 0xA)
    assert ids.taken(TWO, 0xA)
    assert not ids.taken(ONE, 0xA)


def test_a_session_holds_one_identifier_at_a_time() -> None:
    ids = InterfaceIds()
    ids.taken(ONE, 0xA)
    ids.taken(ONE, 0xB)
    assert not ids.taken(TWO, 0xA)
    assert ids.taken(TWO, 0xB)


def test_what_is_released_is_free() -> None:
    ids = InterfaceIds()
    ids.taken(ONE, 0xA)
    ids.release(ONE)
    ids.release(ONE)
    assert not ids.taken(TWO, 0xA)
