"""Where `run` may listen."""

from pathlib import Path

import pytest

from host.settings import ListenAddress, RunSettings, parse_listen

WITNESS = Path("witness.json")


@pytest.mark.parametrize(
    ("text", "host", "port", "url"),
    [
        ("127.0.0.1:20090", "127.0.0.1", 20090, "http://127.0.0.1:20090"),
        ("localhost:1", "127.0.0.1", 1, "http://127.0.0.1:1"),
        ("[::1]:65535", "::1", 65535, "http://[::1]:65535"),
        ("10.0.2.15:0", "10.0.2.15", 0, "http://10.0.2.15:0"),
    ],
)
def test_an_address_and_a_port_are_read(text: str, host: str, port: int, url: str) -> None:
    address = parse_listen(text)
    assert (address.host, address.port, address.url) == (host, port, url)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20090",
        ":20090",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:-1",
        "127.0.0.1:65536",
        "127.0.0.1:２",  # noqa: RUF001 - a digit, but not an ASCII one
        "::1:20090",
        "[127.0.0.1]:1",
        "[::1:1",
        "example.org:20090",
        "http://127.0.0.1:20090",
        "127.1:20090",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|ADDRESS"):
        parse_listen(text)


def test_a_wrong_address_can_not_be_made() -> None:
    with pytest.raises(ValueError, match="address"):
        ListenAddress(host="localhost", port=1)
    with pytest.raises(ValueError, match="port"):
        ListenAddress(host="127.0.0.1", port=-1)


@pytest.mark.parametrize("host", ["::", "10.0.2.15", "fe80::1", "192.168.1.7"])
def test_other_machines_need_a_key_or_a_word(host: str) -> None:
    listen = ListenAddress(host=host, port=20090)
    with pytest.raises(ValueError, match="--allow-remote"):
        RunSettings(listen=listen, witness_file=WITNESS)
    RunSettings(listen=listen, witness_file=WITNESS, allow_remote=True)
    RunSettings(listen=listen, witness_file=WITNESS, authorized_keys=("edpk",))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_needs_neither(host: str) -> None:
    RunSettings(listen=ListenAddress(host=host, port=20090), witness_file=WITNESS)
