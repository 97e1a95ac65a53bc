"""The mirror against a real git: what is asked, what survives, what cannot be smuggled in."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rollouts.api.application_status import ApplicationReason
from rollouts.gitops.sources import objects, source
from rollouts.gitops.sources.commit import File
from rollouts.gitops.sources.git import Git, SourceError
from rollouts.gitops.sources.source import Mirror, RemoteRefs


class Repository:
    """A team's repository on disk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = directory.as_uri()
        directory.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def commit(self, **files: str) -> str:
        for name, text in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=x")
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=Team", "-c", "user.email=team@example.com")
        run = subprocess.run(
            ["git", "-C", str(self.directory), *identity, *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        return run.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return Git(tmp_path / "home", seconds=20)


@pytest.fixture
async def mirror(git: Git, repository: Repository, tmp_path: Path) -> AsyncIterator[Mirror]:
    made = Mirror(git, repository.url, tmp_path / "mirror.git")
    yield made
    await made.close()


async def refs(git: Git, repository: Repository, *target_revisions: str) -> RemoteRefs:
    return await source.remote_refs(git, repository.url, target_revisions, None)


async def tree(mirror: Mirror, commit: str, path: str = ".") -> str:
    (found,) = await mirror.ids([(commit, path)])
    return found


async def test_a_branch_a_tag_and_head_are_resolved_in_one_call(git: Git, repository: Repository) -> None:
    first = repository.commit(a="1")
    repository.git("tag", "--annotate", "--message=x", "v1")
    second = repository.commit(a="2")
    repository.git("branch", "release/1.2", first)

    found = await refs(git, repository, "main", "v1", "release/1.2", "nope", "HEAD")

    assert found.resolve("main") == ("main", "refs/heads/main", second)
    assert found.resolve("v1") == ("v1", "refs/tags/v1", first)
    assert found.resolve("release/1.2") == ("release/1.2", "refs/heads/release/1.2", first)
    assert found.resolve("HEAD") == found.resolve("") == ("main", "refs/heads/main", second)
    assert found.resolve("nope") is None


async def test_a_branch_goes_before_a_tag_of_the_same_name(git: Git, repository: Repository) -> None:
    first = repository.commit(a="1")
    repository.git("tag", "both")
    second = repository.commit(a="2")
    repository.git("branch", "both")

    found = await refs(git, repository, "both", "refs/tags/both")

    assert found.resolve("both") == ("both", "refs/heads/both", second)
    assert found.resolve("refs/tags/both") == ("both", "refs/tags/both", first)


async def test_a_range_is_the_newest_tag_in_it(git: Git, repository: Repository) -> None:
    commits = {}
    for tag in ("v1.0.0", "v1.9.0", "v1.10.0", "v2.0.0-rc.1", "app/v1.5.0", "app/v3.0.0"):
        commits[tag] = repository.commit(version=tag)
        repository.git("tag", "--annotate", "--message=x", tag)

    found = await refs(git, repository, "1.*", ">=2.0.0-0", "^1.0", "3.x")

    assert found.resolve("1.*") == ("v1.10.0", "refs/tags/v1.10.0", commits["v1.10.0"])
    assert found.resolve(">=2.0.0-0") == ("v2.0.0-rc.1", "refs/tags/v2.0.0-rc.1", commits["v2.0.0-rc.1"])
    assert found.resolve("^1.0", "app/") == ("app/v1.5.0", "refs/tags/app/v1.5.0", commits["app/v1.5.0"])
    assert found.resolve("3.x") is None


async def test_a_tag_that_is_made_anew_is_fetched_although_its_commit_is_there(
    git: Git, mirror: Mirror, repository: Repository
) -> None:
    commit = repository.commit(a="1")
    await mirror.fetch({"refs/heads/main": commit}, None)
    said = []
    for message in ("first", "second"):
        repository.git("tag", "--force", "--annotate", f"--message={message}", "v1")
        found = await refs(git, repository, "v1")
        await mirror.fetch({"refs/tags/v1": commit}, None, {"refs/tags/v1": found.commits["refs/tags/v1"]})
        said.append((await mirror.tag("v1") or b"").splitlines()[-1])

    assert said == [b"first", b"second"]


async def test_a_branch_that_reads_like_a_range_is_one_where_no_tag_is_in_it(
    git: Git, repository: Repository
) -> None:
    commit = repository.commit(a="1")
    repository.git("branch", "1.x")

    assert (await refs(git, repository, "1.x")).resolve("1.x") == ("1.x", "refs/heads/1.x", commit)
    repository.git("tag", "v1.0.0")
    assert (await refs(git, repository, "1.x")).resolve("1.x") == ("v1.0.0", "refs/tags/v1.0.0", commit)


@pytest.mark.parametrize(
    "ref", ["refs/pull/7/head", "refs/merge-requests/7/head", "refs/heads/main", "refs/notes/x"]
)
async def test_a_whole_ref_is_followed_wherever_it_is(
    git: Git, repository: Repository, mirror: Mirror, ref: str
) -> None:
    repository.commit(a="1")
    proposed = repository.commit(a="2")
    repository.git("update-ref", ref, proposed)

    found = (await refs(git, repository, ref)).resolve(ref)

    assert found == (ref.removeprefix("refs/heads/"), ref, proposed)
    await mirror.fetch({ref: proposed}, None)
    assert await tree(mirror, proposed)


async def test_of_a_history_only_what_came_after_the_first_fetch_is_fetched(
    git: Git, mirror: Mirror, repository: Repository
) -> None:
    old = [repository.commit(a=str(i)) for i in range(3)]
    await mirror.fetch({"refs/heads/main": old[-1]}, None)
    new = [repository.commit(a=str(i)) for i in range(3, 5)]

    await mirror.fetch({"refs/heads/main": new[-1]}, None)

    assert [await mirror.has(c) for c in (*old, *new)] == [False, False, True, True, True]
    await mirror.fetch({"": old[0]}, None)
    assert await tree(mirror, old[0])


async def test_a_commit_that_its_branch_has_left_while_it_was_fetched_is_had(
    mirror: Mirror, repository: Repository
) -> None:
    overtaken = repository.commit(a="1")
    repository.commit(a="2")

    await mirror.fetch({"refs/heads/main": overtaken}, None)

    assert await tree(mirror, overtaken)


async def test_a_reader_that_nobody_needs_ends(
    mirror: Mirror, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_IDLE_SECONDS", 0.05)
    commit = repository.commit(a="1")
    await mirror.fetch({"refs/heads/main": commit}, None)
    assert await tree(mirror, commit)

    assert await _processes_with("mirror.git") == []
    assert await tree(mirror, commit)


async def test_an_artifact_is_kept_like_a_commit(mirror: Mirror, git: Git) -> None:
    digest = "sha256:" + "a" * 64
    files = {
        'a "b"/c\\d.yaml': File("100644", b"x: 1"),
        "run": File("100755", b""),
        "l": File("120000", b"run"),
    }

    await mirror.store(digest, files)
    await mirror.keep("application", digest)

    assert await mirror.has(digest)
    assert not await mirror.has("sha256:" + "b" * 64)
    assert await (await mirror.at(digest)).below(["."]) == files
    assert await tree(mirror, digest, 'a "b"')


async def test_trees_tell_whether_a_directory_has_changed(mirror: Mirror, repository: Repository) -> None:
    first = repository.commit(**{"app/a": "1", "other/b": "1"})
    await mirror.fetch({"refs/heads/main": first}, None)
    second = repository.commit(**{"other/b": "2"})
    await mirror.fetch({"refs/heads/main": second}, None)

    assert await tree(mirror, first, "app") == await tree(mirror, second, "app") != ""
    assert await tree(mirror, first) != await tree(mirror, second)
    assert await tree(mirror, second, "nope") == ""
    assert await tree(mirror, "0" * 40, "app") == ""


async def test_a_replaced_history_is_followed_and_what_is_kept_stays(
    mirror: Mirror, repository: Repository
) -> None:
    old = repository.commit(a="1")
    await mirror.fetch({"refs/heads/main": old}, None)
    await mirror.keep("application", old)
    repository.git("checkout", "--quiet", "--orphan", "new")
    new = repository.commit(a="2")
    repository.git("branch", "--force", "main", new)

    await mirror.fetch({"refs/heads/main": new}, None)

    assert await tree(mirror, new)
    repository.git("gc", "--quiet", "--prune=now")
    assert await tree(mirror, old)


async def test_names_that_would_shadow_each_other_on_disk_live_side_by_side(
    mirror: Mirror, repository: Repository
) -> None:
    commit = repository.commit(a="1")
    repository.git("branch", "a")
    await mirror.fetch({"refs/heads/a": commit}, None)
    repository.git("branch", "--delete", "--force", "a")
    below = repository.commit(a="2")
    repository.git("branch", "a/b")

    await mirror.fetch({"refs/heads/a/b": below}, None)

    assert await tree(mirror, below)


async def test_a_commit_is_fetched_by_its_id(mirror: Mirror, repository: Repository) -> None:
    first = repository.commit(a="1")
    repository.commit(a="2")

    await mirror.fetch({"": first}, None)

    assert await tree(mirror, first)


async def test_a_commit_that_is_nowhere_is_named(mirror: Mirror, repository: Repository) -> None:
    repository.commit(a="1")

    with pytest.raises(SourceError, match=f"no branch, tag or commit {'1' * 40}") as e:
        await mirror.fetch({"": "1" * 40}, None)

    assert e.value.reason is ApplicationReason.REVISION_NOT_FOUND


async def test_what_a_killed_process_left_is_cleared_away(
    git: Git, repository: Repository, tmp_path: Path
) -> None:
    directory = tmp_path / "left.git"
    commit = repository.commit(a="1")
    before = Mirror(git, repository.url, directory)
    await before.fetch({"refs/heads/main": commit}, None)
    await before.close()
    for lock in ("HEAD.lock", "config.lock", "packed-refs.lock"):
        (directory / lock).touch()
    newer = repository.commit(a="2")

    after = Mirror(git, repository.url, directory)
    await after.fetch({"refs/heads/main": newer}, None)

    assert await tree(after, newer)
    await after.close()


async def test_a_damaged_mirror_is_made_anew(git: Git, repository: Repository, tmp_path: Path) -> None:
    directory = tmp_path / "damaged.git"
    mirror = Mirror(git, repository.url, directory)
    await mirror.fetch({"refs/heads/main": repository.commit(a="1")}, None)
    newer = repository.commit(a="2")
    shutil.rmtree(directory / "refs")
    (directory / "HEAD").unlink()

    await mirror.fetch({"refs/heads/main": newer}, None)

    assert await tree(mirror, newer)
    await mirror.close()


@pytest.mark.parametrize(
    "url", ["ext::sh -c 'touch pwned'", "--upload-pack=touch pwned", "ssh://-oProxyCommand=touch/x"]
)
async def test_a_url_is_never_a_command(url: str, git: Git, tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        await source.remote_refs(git, url, ["main"], None)

    assert not (Path.cwd() / "pwned").exists()


async def test_a_server_that_never_answers_is_given_up_and_leaves_no_process(
    git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_REMOTE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.git"

        with pytest.raises(SourceError, match="took longer than") as e:
            await source.remote_refs(git, url, ["main"], None)

        assert not e.value.definite
        assert not await _processes_with(url)


async def _processes_with(text: str) -> list[str]:
    """Command lines of processes that name `text`; a killed one may take a moment to go."""
    for _ in range(100):
        found = [line for line in _command_lines() if text in line and "git" in line]
        if not found:
            break
        await asyncio.sleep(0.02)
    return found


def _command_lines() -> list[str]:
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return lines
