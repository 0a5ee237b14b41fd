from pathlib import Path

from deploy.lab.pcap import Writer, read_datagrams, read_frames

# An Ethernet frame with IPv4 and UDP: 192.0.2.2:1701 to 192.0.2.1:1701, a ZLB, and four octets of padding.
FRAME = bytes.fromhex(
    "020000000001 020000000002 0800"
    "4500 0028 0000 4000 4011 0000 c0000202 c0000201"
    "06a5 06a5 0014 0000"
    "c802 000c 0001 0000 0001 0001"
    "00000000"
)


def write(path: Path, *frames: bytes) -> Path:
    with path.open("wb") as stream:
        writer = Writer(stream)
        for number, frame in enumerate(frames):
            writer.write(number + 0.25, frame)
    return path


def test_a_datagram_ends_where_its_length_says(tmp_path: Path) -> None:
    (datagram,) = read_datagrams(write(tmp_path / "one.pcap", FRAME))
    assert datagram.payload.hex() == "c802000c0001000000010001"
    assert (datagram.source, datagram.destination_port, datagram.time_s) == ("192.0.2.2", 1701, 0.25)


def test_frames_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = write(tmp_path / "two.pcap", FRAME, b"\xff" * 60)
    assert list(read_frames(path)) == [(0.25, FRAME), (1.25, b"\xff" * 60)]


def test_a_record_that_is_cut_off_ends_the_capture(tmp_path: Path) -> None:
    path = write(tmp_path / "cut.pcap", FRAME, FRAME)
    path.write_bytes(path.read_bytes()[:-1])
    assert len(list(read_frames(path))) == 1


def test_what_is_no_datagram_of_the_port_is_passed_over(tmp_path: Path) -> None:
    other_port = FRAME.replace(bytes.fromhex("06a506a5"), bytes.fromhex("00350035"))
    tcp = bytearray(FRAME)
    tcp[23] = 6
    assert not list(read_datagrams(write(tmp_path / "other.pcap", other_port, bytes(tcp), FRAME[:30], b"")))
