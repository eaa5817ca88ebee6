"""Identity providers in the settings."""

from pathlib import Path

import pytest

from palaver.config import ConfigError, load
from palaver.domain.identity_providers import IdentityProviderSettings

ENVIRON = {
    "PALAVER_OIDC_ISSUER": "https://auth.example.org/realms/main",
    "PALAVER_OIDC_CLIENT_ID": "palaver",
    "PALAVER_OIDC_CLIENT_SECRET": "s3cret",
    "PALAVER_OIDC_NAME": "Example",
}
FILE = """
[identity_providers.google]
issuer = "https://accounts.google.com"
client_id = "id"
client_secret_env = "GOOGLE_SECRET"
name = "Google"

[identity_providers.local]
issuer = "http://localhost:8080/realms/main/.well-known/openid-configuration"
client_id = "palaver"
scopes = ["openid", "email"]
"""


def with_file(folder: Path, text: str) -> dict[str, str]:
    """Return the environment that names a file with this text."""
    path = folder / "palaver.toml"
    path.write_text(text, encoding="utf-8")
    return {"PALAVER_CONFIG": str(path)}


def test_none_is_set_up_by_default() -> None:
    assert load({}).identity_providers == ()


def test_the_environment_names_one() -> None:
    (found,) = load(ENVIRON).identity_providers
    assert found == IdentityProviderSettings(
        id="oidc",
        name="Example",
        issuer="https://auth.example.org/realms/main",
        client_id="palaver",
        client_secret="s3cret",
        setting="PALAVER_OIDC_ISSUER, _CLIENT_ID and _CLIENT_SECRET",
    )


def test_without_a_name_it_is_called_by_its_host() -> None:
    (found,) = load({**ENVIRON, "PALAVER_OIDC_NAME": ""}).identity_providers
    assert found.name == "auth.example.org"


def test_the_file_names_several(tmp_path: Path) -> None:
    settings = load({**ENVIRON, **with_file(tmp_path, FILE), "GOOGLE_SECRET": "g3heim"})
    assert [one.id for one in settings.identity_providers] == ["oidc", "google", "local"]
    _, google, local = settings.identity_providers
    assert (google.name, google.client_secret) == ("Google", "g3heim")
    # The address of the discovery document is as good as the issuer.
    assert local.issuer == "http://localhost:8080/realms/main"
    assert (local.name, local.client_secret, local.scopes) == (
        "localhost",
        None,
        ("openid", "email"),
    )


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    settings = load({**ENVIRON, **with_file(tmp_path, FILE), "GOOGLE_SECRET": "g3heim"})
    assert "s3cret" not in repr(settings)
    assert "g3heim" not in repr(settings)


@pytest.mark.parametrize(
    "issuer",
    [
        "http://auth.example.org",
        "http://127.0.0.1.example.org",
        "http://10.0.0.1",
        "ftp://auth.example.org",
        "auth.example.org",
        "https://user:word@auth.example.org",
        "https://auth.example.org?tenant=1",
        "https://auth.example.org#x",
        "https://",
        "https://[::1",
        "https://auth.example.org:99999",
    ],
)
def test_an_issuer_that_is_not_safe_is_refused(issuer: str) -> None:
    with pytest.raises(ConfigError, match=r"^PALAVER_OIDC_ISSUER must be "):
        load({**ENVIRON, "PALAVER_OIDC_ISSUER": issuer})


@pytest.mark.parametrize("missing", ["PALAVER_OIDC_ISSUER", "PALAVER_OIDC_CLIENT_ID"])
def test_half_a_provider_is_refused(missing: str) -> None:
    with pytest.raises(ConfigError, match=f"^{missing} is missing"):
        load({name: value for name, value in ENVIRON.items() if name != missing})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("identity_providers = 1", "must be tables"),
        ("[identity_providers.oidc]\n", "the id must be"),
        ("[identity_providers.Google]\n", "the id must be"),
        ("[identity_providers]\nx = 1", "must be a table"),
        ("[identity_providers.x]\nclient_id = 'x'", "missing required field `issuer`"),
        ("[identity_providers.x]\nissuer = 'https://x'\nclient_id = ' '", "is empty"),
        ("[identity_providers.x]\nisuer = 'https://x'", "did you mean issuer?"),
        (
            "[identity_providers.x]\nissuer = 'https://x'\nclient_id = 'x'\nscopes = ['email']",
            "`openid` among them",
        ),
        (
            "[identity_providers.x]\nissuer = 'https://x'\nclient_id = 'x'\n"
            "client_secret_env = 'NOWHERE'",
            "names NOWHERE, which is not set",
        ),
        (
            "[identity_providers.x]\nissuer = 'https://x'\nclient_id = 'x'\n"
            "client_secret_env = 'X'\nclient_secret = 'y'",
            "has both",
        ),
    ],
)
def test_a_wrong_section_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(with_file(tmp_path, text))
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "https://app.example.org/callback",
        "https://app.example.org/callback?x=1",
        "http://127.0.0.1:3000/",
        "http://localhost/callback",
        "http://[::1]:3000/",
        "com.example.app:/callback",
    ],
)
def test_addresses_that_people_may_be_sent_to(address: str) -> None:
    assert load({"PALAVER_SSO_REDIRECTS": address}).sso_redirects == (address,)


@pytest.mark.parametrize(
    "address",
    [
        "http://app.example.org/callback",
        "https://app.example.org/#x",
        "https://app.example.org/#",
        "https://user@app.example.org/",
        "https:///callback",
        "javascript:alert(1)",
        "data:text/html,x",
        "app:/callback",
        "/callback",
        "*",
        "https://app.example.org/ö",
    ],
)
def test_addresses_that_nobody_may_be_sent_to(address: str) -> None:
    with pytest.raises(ConfigError, match=r"^PALAVER_SSO_REDIRECTS must be "):
        load({"PALAVER_SSO_REDIRECTS": address})


def test_joining_all_accounts_by_email_wants_registration_to_be_shut() -> None:
    link = {"PALAVER_SSO_LINK_BY_EMAIL": "all"}
    with pytest.raises(ConfigError, match="PALAVER_REGISTRATION"):
        load(link)
    for mode in ("invite", "closed"):
        assert load({**link, "PALAVER_REGISTRATION": mode}).sso_link_by_email == "all"
    assert load({"PALAVER_SSO_LINK_BY_EMAIL": "verified"}).sso_link_by_email == "verified"
