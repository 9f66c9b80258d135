"""Settings: one frozen object from the environment and a file, with every value inside its range."""

import pytest
from pydantic import ValidationError

from changke.kernel.settings import Settings


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CHANGKE_HOME", str(tmp_path))
    for name in ("CHANGKE_PORT", "CHANGKE_LANGUAGE", "LC_ALL", "LANG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_environment_goes_before_the_file(home, monkeypatch):
    (home / "changke.toml").write_text('port = 9001\nhost = "0.0.0.0"\n')
    monkeypatch.setenv("CHANGKE_PORT", "9002")
    settings = Settings()
    assert (settings.home, settings.port, settings.host) == (home, 9002, "0.0.0.0")


def test_an_unknown_name_in_the_file_is_refused(home):
    (home / "changke.toml").write_text("prot = 9001\n")
    with pytest.raises(ValidationError, match="prot"):
        Settings()


@pytest.mark.parametrize(("name", "value"), [("PORT", "70000"), ("POOL_SIZE", "0"), ("LOG_LEVEL", "loud")])
def test_a_value_out_of_range_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(f"CHANGKE_{name}", value)
    with pytest.raises(ValidationError):
        Settings()


def test_settings_are_frozen():
    with pytest.raises(ValidationError):
        Settings().port = 1


def test_the_language_follows_the_terminal(monkeypatch):
    assert Settings().locale == "en"
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert Settings().locale == "zh-CN"
    assert Settings(language="en").locale == "en"


@pytest.mark.parametrize(("text", "numbers"), [("0-15", tuple(range(16))), ("3-4", (3, 4)), ("7", (7,))])
def test_lanes_are_a_range(text, numbers):
    assert Settings(lanes=text).lane_numbers == numbers
