"""Git hosts are asked as they document it: paths, bodies, tokens; and their refusals are told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rollouts.api.application_status import CommitState
from rollouts.api.git_host import GitProvider
from rollouts.gitops.hosting import hosts
from rollouts.gitops.hosting.hosts import HOSTS, Client, Place
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import SourceError
from tests import provider_host
from tests.provider_host import TOKEN, ProviderHost

COMMIT = "a" * 40
PROVIDERS = list(GitProvider)


@pytest.fixture
def host(request: pytest.FixtureRequest) -> Iterator[ProviderHost]:
    with provider_host.serving(request.param) as served:
        yield served


def client(host: ProviderHost, token: str = TOKEN) -> Client:
    provider = GitProvider(host.provider)
    place = hosts.place(provider, "https://git.example.com/team/shop.git", host.url)
    return Client(HOSTS[provider], place, Credentials(password=token), hosts.web())


@pytest.mark.parametrize(
    ("provider", "repo_url", "url", "place"),
    [
        ("github", "https://github.com/team/shop.git", "", Place("https://api.github.com", "team/shop")),
        ("github", "git@github.com:team/shop.git", "", Place("https://api.github.com", "team/shop")),
        (
            "github",
            "ssh://git@ghe.example.com:2222/team/shop",
            "",
            Place("https://ghe.example.com/api/v3", "team/shop"),
        ),
        (
            "gitlab",
            "https://gitlab.com/group/sub/shop.git",
            "",
            Place("https://gitlab.com/api/v4", "group/sub/shop"),
        ),
        (
            "gitea",
            "https://git.example.com:3000/team/shop",
            "",
            Place("https://git.example.com:3000/api/v1", "team/shop"),
        ),
        (
            "gitea",
            "https://example.com/gitea/team/shop",
            "https://example.com/gitea/api/v1/",
            Place("https://example.com/gitea/api/v1", "team/shop"),
        ),
    ],
)
def test_the_api_is_where_the_repository_is(provider: str, repo_url: str, url: str, place: Place) -> None:
    assert hosts.place(GitProvider(provider), repo_url, url) == place


def test_a_repository_without_an_owner_is_refused() -> None:
    with pytest.raises(SourceError, match="which repository"):
        hosts.place(GitProvider.GITHUB, "https://github.com/shop", "")


@pytest.mark.parametrize("host", PROVIDERS, indirect=True)
async def test_a_status_is_posted_and_found_again(host: ProviderHost) -> None:
    one, repository = client(host), "team/shop"
    asked = one.host.statuses(repository, COMMIT, "rollouts/prod/shop")

    before = one.host.last_state(await one.ask(asked), "rollouts/prod/shop")
    for state in (CommitState.PENDING, CommitState.FAILURE):
        await one.ask(one.host.post_status(repository, COMMIT, state, "rollouts/prod/shop", "why"))
    await one.ask(one.host.post_status(repository, COMMIT, CommitState.SUCCESS, "other", "x"))
    after = one.host.last_state(await one.ask(asked), "rollouts/prod/shop")

    assert before is None
    assert after is CommitState.FAILURE
    assert [s["repo"] for s in host.statuses] == [repository] * 3
    assert (host.statuses[1]["context"], host.statuses[1]["description"]) == ("rollouts/prod/shop", "why")


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("github", f"POST /repos/team/shop/statuses/{COMMIT}"),
        ("gitea", f"POST /repos/team/shop/statuses/{COMMIT}"),
        ("gitlab", f"POST /projects/team%2Fshop/statuses/{COMMIT}"),
    ],
    indirect=["host"],
)
async def test_statuses_go_where_the_host_documents_it(host: ProviderHost, asked: str) -> None:
    one = client(host)

    await one.ask(one.host.post_status(one.place.repository, COMMIT, CommitState.SUCCESS, "c", "d"))

    assert host.asked == [asked]


@pytest.mark.parametrize("host", PROVIDERS, indirect=True)
async def test_a_refused_token_is_told_and_not_shown(host: ProviderHost) -> None:
    one = client(host, token="another-t0ken")

    with pytest.raises(SourceError) as refused:
        await one.ask(one.host.statuses("team/shop", COMMIT, "c"))

    assert "401" in str(refused.value)
    assert "check that the token" in str(refused.value)
    assert "another-t0ken" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "broken", "definite"),
    [
        ("github", (422, {"message": "Validation Failed", "errors": []}), True),
        ("gitlab", (400, {"message": {"state": ["is invalid"]}}), True),
        ("gitea", (503, {"message": "down for repairs"}), False),
        ("github", (429, {"message": "You have exceeded a secondary rate limit"}), False),
    ],
    indirect=["host"],
)
async def test_what_a_host_says_about_its_refusal_is_told(
    host: ProviderHost, broken: tuple[int, dict[str, object]], definite: bool
) -> None:
    host.broken, one = broken, client(host)

    with pytest.raises(SourceError) as refused:
        await one.ask(one.host.statuses("team/shop", COMMIT, "c"))

    assert refused.value.definite is definite
    said = broken[1]["message"]
    assert (said if isinstance(said, str) else "is invalid") in str(refused.value)


@pytest.mark.parametrize("host", PROVIDERS, indirect=True)
async def test_a_pull_request_is_proposed_and_found_again(host: ProviderHost) -> None:
    one, repository, head = client(host), "team/shop", "rollouts/revert-prod-shop-aaaaaaaaaaaa"
    asked = one.host.pull_requests(repository, head, "main")
    await one.ask(one.host.propose(repository, "another", "main", "Another", "text"))

    before = one.host.found(await one.ask(asked), head, "main")
    made = one.host.address(await one.ask(one.host.propose(repository, head, "main", "Revert", "why")))
    after = one.host.found(await one.ask(asked), head, "main")

    assert before == ""
    assert after == made == "https://git.example.com/team/shop/pulls/2"
    assert {k: host.pulls[1][k] for k in ("head", "base", "title", "text")} == {
        "head": head,
        "base": "main",
        "title": "Revert",
        "text": "why",
    }
