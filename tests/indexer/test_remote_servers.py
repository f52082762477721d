"""Catalogues on real servers: a web server, S3 by moto, and OpenSSH; each where it is installed."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import closing, contextmanager

import pytest

from indexer.catalogues import open_catalogue
from indexer.catalogues.photos import read_photo
from indexer.catalogues.redirects import stays
from indexer.embedders import ColourLayoutEmbedder
from indexer.errors import CatalogueError
from indexer.pipeline import index_catalogue
from tests.shards_made import png, sample, tar
from tests.sites import Site, answer

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def has(*names):
    return all(importlib.util.find_spec(name) for name in names)


needs_aiohttp = pytest.mark.skipif(
    not has("fsspec", "aiohttp"), reason="needs: pip install fsspec aiohttp"
)
needs_s3 = pytest.mark.skipif(
    not has("moto.server", "s3fs") if has("moto") else True,
    reason="needs an S3 server: pip install s3fs 'moto[server]'",
)
needs_ssh = pytest.mark.skipif(
    SSHD is None or not has("fsspec", "paramiko"),
    reason="needs OpenSSH's sshd, and: pip install fsspec paramiko",
)


@pytest.mark.parametrize(
    ("url", "target", "within"),
    [
        ("http://shop.example/a", "http://shop.example/b", True),
        ("http://shop.example/a", "http://SHOP.example:80/b", True),
        ("http://shop.example/a", "https://shop.example/a", True),
        ("https://shop.example/a", "http://shop.example/a", False),
        ("http://shop.example:8080/a", "https://shop.example/a", False),
        ("http://shop.example/a", "http://shop.example:8080/a", False),
        ("http://shop.example/a", "http://cdn.shop.example/a", False),
        ("http://shop.example/a", "http://shop.example@169.254.169.254/a", False),
        ("http://shop.example/a", "http://shop.example:x/a", False),
        ("http://shop.example/a", "file:///etc/passwd", False),
    ],
)
def test_where_a_redirect_may_lead(url, target, within):
    assert stays(url, target) is within


@pytest.fixture
def site():
    found = Site()
    yield found
    found.leave.set()
    found.shutdown()
    found.server_close()


def moved(target):
    return [answer(b"", f"Location: {target}", "Connection: close", status="302 Found")]


@needs_aiohttp
def test_a_redirect_is_followed_within_its_host_only(site):
    """An address is known by its host and port: two sites of this machine are two hosts."""
    with Site() as other:
        photo = png(3)
        site.answers["/photo.png"] = [answer(photo)]
        site.answers["/moved.png"] = moved("/photo.png")
        other.answers["/secret.png"] = [answer(photo)]
        for name, target in {
            "away": f"http://127.0.0.1:{other.port}/secret.png",
            "twice": f"http://127.0.0.1:{site.port}/away.png",
            "file": "file:///etc/hostname",
        }.items():
            site.answers[f"/{name}.png"] = moved(target)
        here = f"http://127.0.0.1:{site.port}"
        assert read_photo(f"{here}/moved.png") == photo
        for name in ("away", "twice", "file"):
            with pytest.raises(PermissionError, match="it redirects to another host"):
                read_photo(f"{here}/{name}.png")
        assert other.asked == []
        other.shutdown()


@needs_aiohttp
def test_a_catalogue_of_a_web_server_is_told_of_redirects(site, tmp_path):
    with Site() as other:
        here, there = (f"http://127.0.0.1:{s.port}" for s in (site, other))
        site.answers["/photo.png"] = [answer(png(3))]
        site.answers["/away.png"] = moved(f"{there}/photo.png")
        site.answers["/moved.csv"] = moved(f"{there}/items.csv")
        site.answers["/items.csv"] = [answer(b"id,path\na,photo.png\nb,away.png\n")]
        with pytest.raises(CatalogueError, match="it redirects to another host"):
            open_catalogue(f"{here}/moved.csv")
        report = index_catalogue(
            open_catalogue(f"{here}/items.csv"), tmp_path / "store", ColourLayoutEmbedder(),
            workers=1, batch=4,
        )  # fmt: skip
        assert report.embedded == 1
        (failure,) = report.failures
        assert failure.id == "b"
        assert f"redirects to another host, '{there}/photo.png'" in failure.reason
        assert other.asked == []
        other.shutdown()


def free_port():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def bucket(monkeypatch):
    """A bucket of a server that speaks S3: gives a function that puts objects there."""
    boto3, s3fs = pytest.importorskip("boto3"), pytest.importorskip("s3fs")
    served = pytest.importorskip("moto.server")

    port = free_port()
    server = served.ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "hidden", "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
    client.create_bucket(Bucket="shop")
    yield client
    server.stop()
    s3fs.S3FileSystem.clear_instance_cache()


def indexed(place, store, **settings):
    return index_catalogue(
        open_catalogue(place), store, ColourLayoutEmbedder(), workers=2, batch=4, **settings
    )


@needs_s3
def test_a_bucket_is_indexed_changed_and_pruned(bucket, tmp_path):
    for number in range(5):
        bucket.put_object(Bucket="shop", Key=f"photos/a b/{number}?.png", Body=png(number))
    bucket.put_object(Bucket="shop", Key="photos/", Body=b"")  # as consoles make folders
    bucket.put_object(Bucket="shop", Key="photos/notes.txt", Body=b"x")
    store = tmp_path / "store"
    first = indexed("s3://shop/photos", store)
    assert (first.embedded, first.failures) == (5, ())
    again = indexed("s3://shop/photos", store)
    assert (again.embedded, again.unchanged, again.published) == (0, 5, False)
    bucket.put_object(Bucket="shop", Key="photos/a b/0?.png", Body=png(9))
    bucket.delete_object(Bucket="shop", Key="photos/a b/1?.png")
    after = indexed("s3://shop/photos", store, prune=True)
    assert (after.embedded, after.unchanged, after.pruned, after.items) == (1, 3, 1, 4)
    with pytest.raises(CatalogueError, match="There is no catalogue at"):
        indexed("s3://nobodys/photos", store)


@needs_s3
def test_manifests_and_shards_of_a_bucket(bucket, tmp_path):
    bucket.put_object(Bucket="shop", Key="photos/a.png", Body=png(1))
    lines = [{"id": "a", "path": "photos/a.png", "price": 3}, {"id": "b", "path": "none.png"}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    bucket.put_object(Bucket="shop", Key="items.jsonl", Body=text.encode())
    report = indexed("s3://shop/items.jsonl", tmp_path / "manifest")
    assert report.embedded == 1
    assert [failure.id for failure in report.failures] == ["b"]
    for shard in range(2):
        members = [sample(f"{shard}{number}", 10 * shard + number) for number in range(3)]
        data = tar(member for several in members for member in several)
        bucket.put_object(Bucket="shop", Key=f"shards/{shard:03}.tar", Body=data)
    assert indexed("s3://shop/shards/{000..001}.tar", tmp_path / "shards").embedded == 6


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    """An OpenSSH server of this user: its URL, the folder it shows, and the home of its client."""
    home, port = tmp_path / "home" / ".ssh", free_port()
    home.mkdir(parents=True, mode=0o700)
    for name in ("host", "id_ed25519"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)]
        subprocess.run(words, check=True)
    key = (home / "host.pub").read_text().rsplit(" ", 1)[0]
    (home / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}\n")
    settings = tmp_path / "sshd_config"
    settings.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home / 'host'}\nUsePAM no\n"
        f"StrictModes no\nPidFile none\nAuthorizedKeysFile {home / 'id_ed25519.pub'}\n"
        "PasswordAuthentication no\nSubsystem sftp internal-sftp\n"
    )
    monkeypatch.setenv("HOME", str(home.parent))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with running_sshd(settings, port):
        sftp = pytest.importorskip("fsspec").get_filesystem_class("sftp")
        sftp.clear_instance_cache()
        photos = tmp_path / "photos"
        (photos / "a").mkdir(parents=True)
        for number in range(4):
            (photos / "a" / f"{number}.png").write_bytes(png(number))
        yield f"sftp://127.0.0.1:{port}{photos}", photos, home
        sftp.clear_instance_cache()


@contextmanager
def running_sshd(settings, port):
    with subprocess.Popen(
        [SSHD, "-D", "-e", "-f", str(settings)], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for _ in range(100):
                if process.poll() is not None:
                    pytest.skip(f"sshd does not start here: {process.stderr.read().strip()[-200:]}")
                with closing(socket.socket()) as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield
        finally:
            process.kill()


@needs_ssh
def test_a_folder_over_sftp_is_indexed_changed_and_pruned(ssh, tmp_path):
    url, photos, _ = ssh
    store = tmp_path / "store"
    for path in photos.rglob("*.png"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    first = indexed(url, store)
    assert (first.embedded, first.failures) == (4, ())
    assert indexed(url, store).unchanged == 4
    (photos / "a" / "0.png").write_bytes(png(9))
    (photos / "a" / "1.png").unlink()
    after = indexed(url, store, prune=True)
    assert (after.embedded, after.pruned, after.items) == (1, 1, 3)
    (photos / "items.csv").write_text("id,path\nx,a/2.png\ny,a/none.png\n")
    report = indexed(f"{url}/items.csv", tmp_path / "manifest")
    assert [failure.id for failure in report.failures] == ["y"]
    with pytest.raises(CatalogueError, match="There is no catalogue at"):
        indexed(f"{url}/nowhere", store)


@needs_ssh
def test_a_host_that_is_not_known_is_not_believed(ssh, tmp_path):
    url, _, home = ssh
    known = (home / "known_hosts").read_text()
    for wrong in ("", known.replace("127.0.0.1", "127.0.0.9")):
        (home / "known_hosts").write_text(wrong)
        with pytest.raises(CatalogueError, match=r"key is not in .*known_hosts"):
            indexed(url, tmp_path / "store")
    (home / "known_hosts").write_text(known)
    assert indexed(url, tmp_path / "store").embedded == 4
