"""What stands in the way before any work is done: taken ports, wrong paths, a full disk."""

import errno
import socket

import pytest

from service.binding import AddressError, check_address
from service.cli import main
from service.commands.console import in_words


@pytest.fixture
def taken():
    """A port that somebody listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_taken_port_is_told_with_another(taken):
    with pytest.raises(AddressError, match=rf"Port {taken} of 127.0.0.1 is taken.*{taken + 1}"):
        check_address("127.0.0.1", taken)
    check_address("127.0.0.1", 0)
    check_address("localhost", 0)


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid", "127.0.0.1:8000"])
def test_an_address_of_another_machine_is_told(host):
    with pytest.raises(AddressError, match=f"'{host}' is no address.*NITERU_HOST"):
        check_address(host, 0)


def test_the_demo_renders_nothing_for_a_taken_port(taken, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--port", str(taken), "--folder", str(tmp_path / "demo")])
    assert ended.value.code == 1
    assert f"niteru: Port {taken} of 127.0.0.1 is taken." in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FileNotFoundError(errno.ENOENT, "x", "a.jpg"), "There is no 'a.jpg'; looked for from"),
        (OSError(errno.ENOSPC, "x", "s/a.bin"), "The disk of 's/a.bin' is full. Make room"),
        (OSError(errno.ENOSPC, "x"), "The disk is full. Make room, and run the same command"),
        (PermissionError(errno.EACCES, "x", "a"), "'a' cannot be read or written by this user (x)"),
        (OSError(errno.EROFS, "x", b"a"), "'a' cannot be read or written by this user (x)"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "a"), "'a': Is a directory."),
        (OSError("our own words"), "our own words"),
        (ValueError("wrong"), "wrong"),
    ],
)
def test_what_the_system_reports_is_told_in_words(error, told):
    assert in_words(error).startswith(told)


def test_a_photo_that_is_not_there_is_told(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["search", str(tmp_path / "none.jpg"), "--store", str(tmp_path)])
    assert f"niteru: There is no '{tmp_path / 'none.jpg'}'" in capsys.readouterr().err
