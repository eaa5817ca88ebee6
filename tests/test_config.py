"""Settings: what is read, from where, and how a wrong one is refused."""

import re
import stat
import sys
from pathlib import Path

import pytest

from palaver import config
from palaver.config import ConfigError, Settings, load
from palaver.config.providers import DEMO
from palaver.config.settings import FIELDS, PREFIX
from tests.fakes.tiny_model import a_model

ROOT = Path(__file__).parent.parent


def a_file(folder: Path, text: str) -> dict[str, str]:
    path = folder / "palaver.toml"
    path.write_text(text, encoding="utf-8")
    return {"PALAVER_CONFIG": str(path)}


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        load(environ)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def provider(settings: Settings, id: str):
    return next((one for one in settings.providers if one.id == id), None)


def test_nothing_set_gives_the_defaults():
    settings = load({})
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 1)
    assert settings.database == "data/palaver.db"
    assert settings.registration == "open"
    assert settings.session_lifetime_seconds == 7 * 24 * 3600
    assert settings.bootstrap_token is None


def test_other_variables_of_the_environment_are_not_ours():
    assert load({"HOME": "/nowhere", "PORT": "1"}) == load({})


def test_variables_are_read_in_their_types(tmp_path):
    settings = load(
        {
            "PALAVER_PORT": "9000",
            "PALAVER_DATA_DIR": str(tmp_path),
            "PALAVER_REGISTRATION": "invite",
            "PALAVER_SESSION_LIFETIME": "3600",
            "PALAVER_PROVIDER_IDLE_TIMEOUT": "2.5",
            "PALAVER_COOKIES_CROSS_SITE": "true",
            "PALAVER_CORS_ORIGINS": "https://App.Example.org:443/, http://localhost:5173",
            "PALAVER_TRUSTED_PROXIES": "10.0.0.1/8,::1",
            "PALAVER_PUBLIC_URL": "https://chat.example.org/",
            "PALAVER_RATE_LIMIT_PER_MINUTE": "0",
            "PALAVER_MODEL_ALIASES": "gemma-7b=lmstudio/google/gemma-7b, mine=ollama/a=b",
        }
    )
    assert settings.port == 9000
    assert settings.database == str(tmp_path / "palaver.db")
    assert settings.registration == "invite"
    assert settings.session_lifetime_seconds == 3600
    assert settings.provider_idle_timeout_seconds == 2.5
    assert settings.cookies_cross_site is True
    assert settings.cors_origins == ("https://app.example.org", "http://localhost:5173")
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")
    assert settings.public_url == "https://chat.example.org"
    assert (settings.rate_limit_per_minute, settings.rate_limit_per_hour) == (0, 1000)
    assert settings.model_aliases == ("gemma-7b=lmstudio/google/gemma-7b", "mine=ollama/a=b")


@pytest.mark.parametrize("alias", ["gemma-7b", "=a/b", "a=b", "a=b/", "a/b=c/d", "a b=c/d"])
def test_an_alias_that_names_no_model_is_refused(alias):
    with pytest.raises(ConfigError, match="PALAVER_MODEL_ALIASES must be name=provider/model"):
        load({"PALAVER_MODEL_ALIASES": alias})


def test_an_empty_variable_counts_as_unset():
    assert load(dict.fromkeys((PREFIX + key.upper() for key in FIELDS), "")).port == 8000


def test_an_empty_bootstrap_token_means_that_there_is_none(tmp_path):
    settings = load({"PALAVER_BOOTSTRAP_TOKEN": "", "PALAVER_DATA_DIR": str(tmp_path)})
    assert config.bootstrap_token(settings) is None
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_read_and_the_environment_wins(tmp_path):
    environ = a_file(
        tmp_path, 'port = 9000\nregistration = "closed"\ncors_origins = ["https://a.example"]\n'
    )
    settings = load({**environ, "PALAVER_PORT": "9001"})
    assert settings.port == 9001
    assert settings.registration == "closed"
    assert settings.cors_origins == ("https://a.example",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "http"),
        ("PORT", "80.5"),
        ("REGISTRATION", "Open"),
        ("PASSWORD_POLICY", "none"),
        ("LOGIN_ATTEMPTS_PER_MINUTE", "-1"),
        ("SESSION_LIFETIME", "7d"),
        ("PROVIDER_IDLE_TIMEOUT", "nan"),
        ("PROVIDER_IDLE_TIMEOUT", "inf"),
        ("PUBLIC_URL", "chat.example.org"),
        ("PUBLIC_URL", "https://chat.example.org/palaver"),
        ("PUBLIC_URL", "https://chat.example.org:99999"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://user@example.org"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("TRUSTED_PROXIES", "proxy.local"),
        ("COOKIES_CROSS_SITE", "perhaps"),
        ("DATABASE_URL", "mysql://localhost/palaver"),
        ("DEFAULT_MODEL", "gpt-4"),
        ("LOG_LEVEL", "loud"),
        ("SECRET_KEY", "short"),
    ],
)
def test_a_wrong_value_is_refused_by_one_sentence_that_names_it(name, value):
    sentence = refusal({PREFIX + name: value})
    assert sentence.startswith(f"{PREFIX}{name} must be ")


def test_more_than_one_worker_is_refused_with_the_reason():
    assert refusal({"PALAVER_WORKERS": "4"}) == (
        "PALAVER_WORKERS must be 1: this version serves from one process, not '4'."
    )


def test_a_wrong_value_in_the_file_names_the_key_and_the_file(tmp_path):
    environ = a_file(tmp_path, 'port = "9000"\n')
    assert refusal(environ) == (
        f"`port` in {environ['PALAVER_CONFIG']} must be a port from 1 to 65535, not '9000'."
    )


def test_an_unknown_variable_is_refused_with_what_may_have_been_meant():
    assert refusal({"PALAVER_PROT": "1"}) == (
        "PALAVER_PROT is no setting: did you mean PALAVER_PORT?"
    )


def test_an_unknown_key_is_refused_with_what_may_have_been_meant(tmp_path):
    assert "did you mean registration?" in refusal(a_file(tmp_path, 'registrations = "open"'))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    assert refusal({"PALAVER_CONFIG": str(tmp_path / "none.toml")}).startswith("PALAVER_CONFIG ")


def test_a_file_that_is_no_toml_is_refused(tmp_path):
    assert "is no TOML" in refusal(a_file(tmp_path, "port: 8000"))


def test_a_cookie_for_other_origins_wants_to_know_which():
    assert "PALAVER_CORS_ORIGINS" in refusal({"PALAVER_COOKIES_CROSS_SITE": "1"})


def test_secrets_stand_neither_in_the_representation_nor_in_a_refusal():
    settings = load(
        {
            "PALAVER_SECRET_KEY": "s3cret" * 8,
            "PALAVER_BOOTSTRAP_TOKEN": "s3cret",
            "PALAVER_DATABASE_URL": "postgresql://user:s3cret@db/palaver",
            "OPENAI_API_KEY": "sk-s3cret",
        }
    )
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in repr(settings.providers)
    assert "s3cret" not in refusal({"PALAVER_SECRET_KEY": "s3cret"})
    assert "s3cret" not in refusal({"PALAVER_DATABASE_URL": "mysql://user:s3cret@db"})
    assert "s3cret" not in refusal({"OPENAI_API_KEY": "s3cret\x00"})


# Providers


def test_local_servers_are_tried_without_being_configured():
    assert [(one.id, one.base_url, one.is_local) for one in load({}).providers] == [
        ("lmstudio", "http://127.0.0.1:1234/v1", True),
        ("ollama", "http://127.0.0.1:11434/v1", True),
        ("demo", "", False),
    ]


def test_an_empty_address_switches_a_local_server_off():
    assert load({"OLLAMA_BASE_URL": "", "LMSTUDIO_BASE_URL": ""}).providers == (DEMO,)


def test_a_key_switches_a_hosted_provider_on():
    openai = provider(load({"OPENAI_API_KEY": " sk-1 "}), "openai")
    assert (openai.base_url, openai.api_key) == ("https://api.openai.com/v1", "sk-1")
    assert openai.key_setting == "OPENAI_API_KEY"
    assert not openai.is_local


def test_an_address_alone_switches_a_hosted_provider_on():
    openai = provider(load({"OPENAI_BASE_URL": "http://127.0.0.1:9999/v1/"}), "openai")
    assert (openai.base_url, openai.api_key) == ("http://127.0.0.1:9999/v1", None)
    assert openai.key_setting == "OPENAI_API_KEY"


@pytest.mark.parametrize(
    ("id", "protocol", "base_url"),
    [
        ("openai", "openai", "https://api.openai.com/v1"),
        ("anthropic", "anthropic", "https://api.anthropic.com"),
        ("gemini", "gemini", "https://generativelanguage.googleapis.com"),
    ],
)
def test_each_vendor_is_spoken_to_in_its_own_protocol(id, protocol, base_url):
    variable = f"{id.upper()}_API_KEY"
    vendor = provider(load({variable: "key"}), id)
    assert (vendor.protocol, vendor.base_url, vendor.key_setting) == (protocol, base_url, variable)


def test_the_file_adds_servers_between_the_hosted_and_the_local_ones(tmp_path):
    environ = a_file(
        tmp_path,
        """
        provider_idle_timeout = 30

        [providers.vllm]
        base_url = "http://10.0.0.2:8000/v1"
        name = "Our vLLM"
        idle_timeout = 300
        streams = false

        [providers.groq]
        base_url = "https://api.groq.com/openai/v1"
        api_key_env = "GROQ_API_KEY"
        """,
    )
    settings = load({**environ, "GROQ_API_KEY": "gsk-1", "OPENROUTER_API_KEY": "or-1"})
    ids = [one.id for one in settings.providers]
    assert ids == ["openrouter", "vllm", "groq", "lmstudio", "ollama", "demo"]
    vllm, groq = settings.providers[1:3]
    assert (vllm.name, vllm.streams, vllm.idle_timeout_seconds) == ("Our vLLM", False, 300)
    assert (groq.api_key, groq.key_setting) == ("gsk-1", "GROQ_API_KEY")
    assert (groq.name, groq.streams, groq.idle_timeout_seconds) == ("groq", True, 30)


def test_a_section_of_a_known_provider_gives_what_the_environment_does_not(tmp_path):
    environ = a_file(tmp_path, '[providers.openai]\napi_key = "sk-file"\nname = "Ours"\n')
    openai = provider(load(environ), "openai")
    assert (openai.name, openai.api_key) == ("Ours", "sk-file")
    openai = provider(load({**environ, "OPENAI_API_KEY": "sk-env"}), "openai")
    assert (openai.name, openai.api_key) == ("Ours", "sk-env")


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ('[providers.x]\nname = "X"', "needs a `base_url`"),
        ("[providers.Big]\nbase_url = 'http://x'", "the id must be"),
        ("[providers.demo]\nbase_url = 'http://x'", "the id must be"),
        ("[providers.x]\nbase_uri = 'http://x'", "did you mean base_url?"),
        ("[providers.x]\nbase_url = 'x:8000/v1'", "must be an address"),
        ("[providers.x]\nbase_url = 'http://a:b@x'", "must be an address"),
        ("[providers.x]\nbase_url = 'http://x:99999'", "must be an address"),
        ("[providers.x]\nbase_url = 'http://x'\nstreams = 'no'", "Expected `bool`"),
        ("[providers.x]\nbase_url = 'http://x'\nidle_timeout = 0", "Expected `float` >= 1"),
        ("[providers.x]\nbase_url = 'http://x'\napi_key_env = 'MISSING'", "which is not set"),
        ("[providers.x]\nbase_url = 'http://x'\napi_key = 'a b'", "printable ASCII"),
        ("providers = 1", "must be tables"),
        ("[providers]\nx = 1", "must be a table"),
    ],
)
def test_a_wrong_section_is_refused(tmp_path, section, sentence):
    assert sentence in refusal(a_file(tmp_path, section))


# What Palaver makes for itself


@pytest.mark.parametrize("secret", [config.secret_key, config.bootstrap_token])
def test_a_secret_is_made_once_and_only_its_owner_reads_it(tmp_path, secret):
    settings = load({"PALAVER_DATA_DIR": str(tmp_path / "new" / "data")})
    made = secret(settings)
    assert len(made) >= 32
    assert secret(settings) == made
    (file,) = settings.data_dir.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700


def test_a_given_secret_is_taken_and_nothing_is_written(tmp_path):
    settings = load(
        {
            "PALAVER_DATA_DIR": str(tmp_path),
            "PALAVER_SECRET_KEY": "k" * 32,
            "PALAVER_BOOTSTRAP_TOKEN": "token",
        }
    )
    assert (config.secret_key(settings), config.bootstrap_token(settings)) == ("k" * 32, "token")
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    settings = load({"PALAVER_DATA_DIR": str(tmp_path / "file" / "data")})
    with pytest.raises(ConfigError, match="PALAVER_DATA_DIR"):
        config.secret_key(settings)


def test_an_empty_secret_file_is_refused(tmp_path):
    (tmp_path / "secret_key").write_text("\n")
    with pytest.raises(ConfigError, match="is empty"):
        config.secret_key(load({"PALAVER_DATA_DIR": str(tmp_path)}))


# The page


def test_the_page_lists_every_setting_and_no_other():
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(PALAVER_[A-Z_]+)`", page, re.MULTILINE))
    assert listed == {PREFIX + key.upper() for key in FIELDS} | {"PALAVER_CONFIG"}


# Web search


def engine_of(environ: dict[str, str]):
    engine = load(environ).search_engine
    return engine and (engine.engine, engine.base_url, engine.api_key)


def test_the_first_engine_that_is_set_up_searches():
    keys = {"BRAVE_API_KEY": "b", "TAVILY_API_KEY": " t "}
    assert engine_of({}) is None
    assert engine_of(keys) == ("brave", "https://api.search.brave.com/res/v1", "b")
    assert engine_of({**keys, "PALAVER_WEB_SEARCH": "tavily"})[2] == "t"
    searxng = {**keys, "PALAVER_SEARXNG_URL": "http://127.0.0.1:8888/"}
    assert engine_of(searxng) == ("searxng", "http://127.0.0.1:8888", None)
    assert engine_of({**searxng, "PALAVER_WEB_SEARCH": "provider"}) is None
    assert engine_of({**searxng, "PALAVER_WEB_SEARCH": "off"}) is None
    moved = engine_of({"BRAVE_API_KEY": "b", "BRAVE_BASE_URL": "http://127.0.0.1:1/x/"})
    assert moved == ("brave", "http://127.0.0.1:1/x", "b")


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"PALAVER_WEB_SEARCH": "brave"}, "BRAVE_API_KEY"),
        ({"PALAVER_WEB_SEARCH": "searxng", "TAVILY_API_KEY": "t"}, "PALAVER_SEARXNG_URL"),
        ({"PALAVER_WEB_SEARCH": "google"}, "PALAVER_WEB_SEARCH"),
        ({"PALAVER_SEARXNG_URL": "127.0.0.1:8888"}, "PALAVER_SEARXNG_URL"),
        ({"PALAVER_SEARXNG_URL": "http://u:s3cret@host"}, "PALAVER_SEARXNG_URL"),
        ({"TAVILY_API_KEY": "s3cret\n2"}, "TAVILY_API_KEY"),
        ({"BRAVE_API_KEY": "b", "BRAVE_BASE_URL": "x"}, "BRAVE_BASE_URL"),
        ({"PALAVER_WEB_SEARCH_COST_USD": "-1"}, "PALAVER_WEB_SEARCH_COST_USD"),
        ({"PALAVER_OUTBOUND_ALLOW_NETWORKS": "10.0.0.0/33"}, "PALAVER_OUTBOUND_ALLOW_NETWORKS"),
        ({"PALAVER_OUTBOUND_ALLOW_NETWORKS": "intranet"}, "PALAVER_OUTBOUND_ALLOW_NETWORKS"),
    ],
)
def test_a_search_that_cannot_be_is_refused_with_the_setting(environ, named):
    assert named in refusal(environ)


def test_networks_that_are_let_through_are_read_as_such():
    settings = load({"PALAVER_OUTBOUND_ALLOW_NETWORKS": "10.1.2.3/16, 127.0.0.1,fd12::/32"})
    assert settings.outbound_allow_networks == ("10.1.0.0/16", "127.0.0.1/32", "fd12::/32")


def test_the_key_of_an_engine_is_not_shown():
    assert "s3cret" not in repr(load({"BRAVE_API_KEY": "s3cret"}))


class TestEmbedder:
    """One of a provider, one from a folder, or none."""

    def test_a_model_of_a_configured_provider(self):
        environ = {"OPENAI_API_KEY": "sk-1", "PALAVER_EMBEDDING_MODEL": "openai/text-embedding-3"}
        found = load(environ).embedder
        assert (found.model, found.provider.id, found.folder) == (
            "text-embedding-3",
            "openai",
            None,
        )
        assert load({"PALAVER_EMBEDDING_MODEL": "ollama/a/b:c"}).embedder.model == "a/b:c"
        assert load({}).embedder is None

    def test_a_folder(self, tmp_path):
        folder = a_model(tmp_path / "tiny")
        found = load({"PALAVER_EMBEDDING_FOLDER": str(folder)}).embedder
        assert (found.model, found.provider, found.folder) == ("tiny", None, folder)

    @pytest.mark.parametrize(
        ("model", "said"),
        [
            ("openai/x", "there is no provider openai; set OPENAI_API_KEY."),
            ("mine/x", r"there is no provider mine; add [providers.mine] to the settings file."),
            ("demo/x", "Demo has no models that embed."),
            ("x", "must be provider/name"),
        ],
    )
    def test_a_model_that_cannot_be_is_refused(self, model, said):
        assert said in refusal({"PALAVER_EMBEDDING_MODEL": model})

    def test_anthropic_has_none(self):
        environ = {"ANTHROPIC_API_KEY": "sk-1", "PALAVER_EMBEDDING_MODEL": "anthropic/claude"}
        assert "has no models that embed" in refusal(environ)

    def test_a_folder_without_a_model_is_refused(self, tmp_path):
        said = refusal({"PALAVER_EMBEDDING_FOLDER": str(tmp_path / "none")})
        assert said.endswith("is no folder.")
        assert "no model.onnx" in refusal({"PALAVER_EMBEDDING_FOLDER": str(tmp_path)})
        (a_model(tmp_path / "tiny") / "tokenizer.json").unlink()
        said = refusal({"PALAVER_EMBEDDING_FOLDER": str(tmp_path / "tiny")})
        assert said.endswith("has no tokenizer.json.")

    def test_both_are_one_too_many(self, tmp_path):
        environ = {
            "PALAVER_EMBEDDING_MODEL": "ollama/x",
            "PALAVER_EMBEDDING_FOLDER": str(a_model(tmp_path / "tiny")),
        }
        assert refusal(environ).endswith("are both set: choose one.")

    def test_without_the_extra_it_says_how_to_get_it(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        said = refusal({"PALAVER_EMBEDDING_FOLDER": str(tmp_path)})
        assert said.endswith('pip install "palaver[embeddings]".')
