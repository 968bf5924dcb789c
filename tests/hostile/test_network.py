"""One network, one behaviour: both senders read proxies and certificates alike, from the connection or environment."""

from __future__ import annotations

import pytest
from evil import KEY, Ask, Authority, EvilServer, Proxy, reply

from airflow_provider_bland.api import endpoints
from airflow_provider_bland.api.errors import BlandConnectionError
from airflow_provider_bland.api.settings import BlandSettings

LOOK = endpoints.get_account()
ACCOUNT = {"status": "active"}


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "verify"])
def test_certificates_of_ones_own(ask: Ask, authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with EvilServer(reply(ACCOUNT), authority.server()) as server:
        with pytest.raises(BlandConnectionError, match="not trusted"):
            ask(BlandSettings(KEY, server.url), LOOK)
        if name != "verify":
            monkeypatch.setenv(name, str(authority.bundle))
        verify = str(authority.bundle) if name == "verify" else True
        assert ask(BlandSettings(KEY, server.url, verify=verify), LOOK) == ACCOUNT


def test_the_connection_wins_over_the_environment(
    ask: Ask, authority: Authority, certificates: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.bundle))
    with EvilServer(reply(ACCOUNT), authority.server()) as server, Proxy() as ours, Proxy() as theirs:
        monkeypatch.setenv("HTTPS_PROXY", theirs.url)
        monkeypatch.setenv("ALL_PROXY", theirs.url)
        monkeypatch.setenv("NO_PROXY", "*")
        settings = BlandSettings(KEY, server.url, verify=str(authority.bundle), proxy=ours.url)
        assert ask(settings, LOOK) == ACCOUNT
        assert len(ours.asked) == 1
        assert theirs.asked == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_on_this_machine_any_certificate_will_do_if_told_so(ask: Ask, authority: Authority) -> None:
    with EvilServer(reply(ACCOUNT), authority.server(name="elsewhere.example")) as server:
        assert ask(BlandSettings(KEY, server.url, verify=False), LOOK) == ACCOUNT


@pytest.mark.parametrize(
    ("variable", "no_proxy", "proxied"),
    [
        ("HTTPS_PROXY", "", True),
        ("https_proxy", "", True),
        ("ALL_PROXY", "", True),
        ("HTTP_PROXY", "", False),
        ("HTTPS_PROXY", "127.0.0.0/8", False),
        ("HTTPS_PROXY", "127.0.0.1", False),
        ("HTTPS_PROXY", "*", False),
        ("HTTPS_PROXY", "10.0.0.0/8,example.com", True),
        ("HTTPS_PROXY", "127.0.0.1:1", True),
    ],
)
def test_proxies_of_the_environment(
    ask: Ask, authority: Authority, monkeypatch: pytest.MonkeyPatch, variable: str, no_proxy: str, proxied: bool
) -> None:
    with EvilServer(reply(ACCOUNT), authority.server()) as server, Proxy() as proxy:
        monkeypatch.setenv(variable, proxy.url)
        monkeypatch.setenv("NO_PROXY", no_proxy)
        assert ask(BlandSettings(KEY, server.url, verify=str(authority.bundle)), LOOK) == ACCOUNT
        assert bool(proxy.asked) is proxied


def test_the_key_goes_to_bland_and_not_to_the_proxy(ask: Ask, authority: Authority) -> None:
    seen: list[dict[str, str]] = []
    with EvilServer(reply(ACCOUNT), authority.server()) as server, Proxy() as proxy:
        ask(BlandSettings(KEY, server.url, verify=str(authority.bundle), proxy=proxy.url), LOOK)
        seen += [exchange.headers for exchange in server.requests]
    with Proxy(lambda exchange: seen.append(exchange.headers)) as proxy, pytest.raises(BlandConnectionError):
        ask(
            BlandSettings(KEY, server.url, proxy=proxy.url.replace("//", "//user:hidden-pw@"), connect_timeout=0.5),
            LOOK,
        )
    assert [headers.get("authorization") for headers in seen[:2]] == [KEY, None]


def test_netrc_is_not_asked(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password hidden-pw\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with EvilServer(reply(ACCOUNT)) as server:
        assert ask(BlandSettings(KEY, server.url), LOOK) == ACCOUNT
        assert server.requests[0].headers["authorization"] == KEY
