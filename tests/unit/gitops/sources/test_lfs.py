"""Files of Git LFS: which pointers are understood, what is asked of a host, and what is believed of its answer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rollouts.api.application import ApplicationSource
from rollouts.api.application_status import ApplicationReason
from rollouts.errors import SpecError
from rollouts.gitops import validation
from rollouts.gitops.resources.render import MAX_TOTAL_BYTES
from rollouts.gitops.sources import lfs
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import SourceError
from rollouts.gitops.sources.lfs import Pointer, Storage
from rollouts.gitops.sources.web import Web
from tests import lfs_host
from tests.lfs_host import PASSWORD, USERNAME, LfsHost
from tests.unit.gitops.builders import application

ROBOT = Credentials(USERNAME, PASSWORD)
WEB = Web(ApplicationReason.GIT_OPERATION_FAILED, 10)
OID = "4d" * 32
TEXT = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 12345\n"


@pytest.fixture
def host() -> Iterator[LfsHost]:
    with lfs_host.serving() as served:
        yield served


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "lfs", WEB)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (TEXT, Pointer(OID, 12345)),
        (TEXT.rstrip(), Pointer(OID, 12345)),
        ("kind: ConfigMap\n", None),
        (TEXT + "more\n", None),
        (TEXT.replace("oid", "ext-0-foo sha256:00\noid"), None),
        (TEXT.replace("size 12345", "size -1"), None),
        (TEXT.replace(OID, "../../../etc/passwd"), None),
        (TEXT + "\n" * 2000, None),
    ],
)
def test_a_pointer_is_what_its_specification_says(text: str, found: Pointer | None) -> None:
    assert lfs.pointer(text.encode()) == found


def kept(host: LfsHost, *contents: bytes) -> list[Pointer]:
    return [p for content in contents if (p := lfs.pointer(host.keep(content).encode()))]


@pytest.mark.parametrize("ending", ["", ".git", ".git/"])
async def test_content_is_fetched_with_the_repository_s_credentials_and_kept(
    host: LfsHost, storage: Storage, ending: str
) -> None:
    url = f"{host.url}/team/shop{ending}"
    pointers = kept(host, b"one", b"two", b"")

    found = await storage.fetched(url, pointers, ROBOT)

    assert [found[p] for p in pointers] == [b"one", b"two", b""]
    assert len(set(host.shown)) == 1
    assert host.shown[0].startswith("Basic ")
    assert storage.kept(url, pointers) == found
    assert storage.kept(f"{host.url}/team/bank", pointers) == {}


async def test_what_was_changed_on_disk_is_fetched_again(host: LfsHost, storage: Storage) -> None:
    url, pointers = f"{host.url}/team/shop", kept(host, b"one")
    await storage.fetched(url, pointers, ROBOT)
    (file,) = (f for f in storage.directory.rglob("*") if f.is_file())

    file.write_bytes(b"own")

    assert storage.kept(url, pointers) == {}


async def test_the_disk_keeps_what_was_used_last(
    host: LfsHost, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lfs, "_KEPT_BYTES", 8)
    url, pointers = f"{host.url}/team/shop", kept(host, b"one", b"two", b"six")
    for i, one in enumerate(pointers):
        await storage.fetched(url, [one], ROBOT)
        for file in storage.directory.rglob(one.oid):
            os.utime(file, (i, i))

    assert set(storage.kept(url, pointers)) == set(pointers[1:])


async def test_downloads_at_another_host_get_no_credentials(host: LfsHost, storage: Storage) -> None:
    with lfs_host.serving() as other:
        (one,) = kept(host, b"one")
        kept(other, b"one")
        host.elsewhere = other.url

        found = await storage.fetched(f"{host.url}/team/shop", [one], ROBOT)

    assert found == {one: b"one"}
    assert (other.shown, host.shown) == ([""], [])


async def refused(
    storage: Storage, url: str, *pointers: Pointer, who: Credentials | None = ROBOT
) -> SourceError:
    with pytest.raises(SourceError) as error:
        await storage.fetched(url, pointers, who)
    assert PASSWORD not in str(error.value)
    assert len(str(error.value)) < 500
    assert not [f for f in storage.directory.rglob("*") if f.is_file()]
    return error.value


async def test_content_that_is_not_what_the_pointer_says_is_not_taken(
    host: LfsHost, storage: Storage
) -> None:
    (one,) = kept(host, b"one")
    url = f"{host.url}/team/shop"

    host.contents[one.oid] = b"own"
    assert "its SHA-256 differs" in str(await refused(storage, url, one))
    host.contents[one.oid] = b"on"
    assert "its SHA-256 differs" in str(await refused(storage, url, one))
    host.contents[one.oid] = b"one and more"
    assert "answers with more than 3 bytes" in str(await refused(storage, url, one))


async def test_what_is_too_much_is_not_asked_for(host: LfsHost, storage: Storage) -> None:
    found = await refused(
        storage, f"{host.url}/team/shop", Pointer(OID, MAX_TOTAL_BYTES), Pointer("00" * 32, 1)
    )

    assert "the limit is" in str(found)
    assert (found.definite, host.asked) == (True, [])


@pytest.mark.parametrize(
    ("broken", "definite", "words"),
    [
        ((404, b""), True, "speaks no Git LFS"),
        ((403, b"{}"), True, "check the Secret"),
        ((503, b"x" * 1000), False, "HTTP 503"),
        ((200, b"<html>"), False, "does not say where"),
        ((200, b'{"objects": [1, {"oid": 2}]}'), False, "does not say where"),
        ((200, b"[" * 100_000), False, "does not say where"),
        ((200, b" " * 5_000_000), False, "answers with more than"),
    ],
)
async def test_a_host_that_does_not_do_its_part_is_told_of(
    host: LfsHost, storage: Storage, broken: tuple[int, bytes], definite: bool, words: str
) -> None:
    host.broken = broken

    found = await refused(storage, f"{host.url}/team/shop", Pointer(OID, 3))

    assert words in str(found)
    assert found.definite is definite


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"error": {"code": 410, "message": "gone\nfor good " + "x" * 1000}}, "gone for good"),
        ({"actions": {"download": {"href": "file:///etc/passwd"}}}, "does not say where"),
        ({"actions": {"download": {"href": "/etc/passwd"}}}, "does not say where"),
        ({"actions": {"download": {"href": 3}}}, "does not say where"),
        ({"actions": {"upload": {"href": "https://a"}}}, "does not say where"),
        ({"actions": []}, "does not say where"),
    ],
)
async def test_only_an_address_of_the_web_is_downloaded(
    host: LfsHost, storage: Storage, told: dict[str, Any], words: str
) -> None:
    host.told, (one,) = told, kept(host, b"one")

    assert words in str(await refused(storage, f"{host.url}/team/shop", one))


async def test_an_absent_file_and_refused_credentials_are_named(host: LfsHost, storage: Storage) -> None:
    absent = await refused(storage, f"{host.url}/team/shop", Pointer(OID, 3))
    nobody = await refused(storage, f"{host.url}/team/shop", Pointer(OID, 3), who=None)

    assert f"has no file {OID} of Git LFS: Object does not exist" in str(absent)
    assert nobody.reason is ApplicationReason.AUTHENTICATION_FAILED


async def test_another_protocol_is_refused(storage: Storage) -> None:
    found = await refused(storage, "git@git.example.com:team/shop.git", Pointer(OID, 3))

    assert "spoken with these only" in str(found)


@pytest.mark.parametrize(
    "source",
    [
        ApplicationSource("git@git.example.com:team/shop.git", enable_lfs=True),
        ApplicationSource("ssh://git@git.example.com/team/shop.git", enable_lfs=True),
        ApplicationSource("file:///srv/shop.git", enable_lfs=True),
        ApplicationSource(
            "https://charts.example.com", chart="web", target_revision="1.0.0", enable_lfs=True
        ),
        ApplicationSource("oci://registry.example.com/shop", enable_lfs=True),
    ],
)
def test_a_source_that_cannot_have_it_is_refused(source: ApplicationSource) -> None:
    with pytest.raises(SpecError) as error:
        validation.check(application(source=source))

    assert error.value.path == "spec.source.enableLfs"


def test_a_source_that_can_is_accepted() -> None:
    validation.check(application(source=ApplicationSource("https://git.example.com/shop", enable_lfs=True)))
