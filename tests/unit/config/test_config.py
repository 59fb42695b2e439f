from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from firkin.adapters.memory import MemoryAgentConnector, MemoryImageSource, MemoryPodStore, MemoryVmm
from firkin.config import RuntimeConfig, load_config, traceback_wanted
from firkin.domain.errors import ConfigurationError
from firkin.domain.image import Platform
from firkin.domain.size import Size


def test_without_file_and_environment_the_defaults_hold(tmp_path: Path) -> None:
    config = load_config({"HOME": str(tmp_path)})
    assert (config.vmm, config.store, config.agents) == ("namespace", "ext4", "grpc")
    assert config.image_sources == ("oci", "docker-archive", "image")
    if os.geteuid() == 0:
        assert (config.state_dir, config.runtime_dir) == (Path("/var/lib/firkin"), Path("/run/firkin"))


def test_an_ordinary_user_gets_the_xdg_directories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    named = load_config({"HOME": "/h", "XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r"})
    assert (named.state_dir, named.runtime_dir) == (Path("/s/firkin"), Path("/r/firkin"))
    bare = load_config({"HOME": "/h"})
    assert (bare.state_dir, bare.runtime_dir) == (
        Path("/h/.local/state/firkin"),
        Path("/h/.local/state/firkin/run"),
    )


def test_an_empty_home_is_none_and_the_users_own_directory_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    home = pwd.getpwuid(65534).pw_dir
    assert load_config({"HOME": ""}).state_dir == load_config({}).state_dir == Path(home, ".local/state/firkin")


def test_a_user_without_a_home_is_told_so_unless_nothing_lies_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 2**31 - 7)
    with pytest.raises(ConfigurationError, match="user 2147483641 has no home directory: set HOME"):
        load_config({})
    assert load_config({"FIRKIN_STATE_DIR": "/s", "FIRKIN_RUNTIME_DIR": "/r"}).state_dir == Path("/s")


def test_limits_of_layers_are_taken_from_the_file_and_checked(tmp_path: Path) -> None:
    file = tmp_path / "firkin.toml"
    file.write_text("[layer_limits]\nentries = 1000\ntar_bytes = 1_000_000\n")
    config = load_config({"FIRKIN_CONFIG": str(file)})
    assert config.layer_limits == {"entries": 1000, "tar_bytes": 1_000_000}
    with pytest.raises(ConfigurationError, match="there is no limit 'entry' of layers; there are: entries"):
        RuntimeConfig(layer_limits={"entry": 1})
    with pytest.raises(ConfigurationError, match="layer_limits: the limit 'depth' of layers is 0"):
        RuntimeConfig(layer_limits={"depth": 0})
    wrong: Any
    for wrong in ("many", 1.5, None):
        with pytest.raises(ConfigurationError, match="it must be a whole number"):
            RuntimeConfig(layer_limits={"depth": wrong})


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    file = tmp_path / "firkin.toml"
    file.write_text(
        'store = "directory"\nstart_concurrency = 2\nstate_dir = "/from/file"\nplatform = "linux/arm64/v8"\n'
    )
    config = load_config(
        {"FIRKIN_CONFIG": str(file), "FIRKIN_STATE_DIR": "/from/env", "FIRKIN_VMM": "memory", "FIRKIN_STORE": "memory"}
    )
    assert config.store == "memory"
    assert config.vmm == "memory"
    assert config.start_concurrency == 2
    assert config.state_dir == Path("/from/env")
    assert config.platform == Platform("arm64", "linux", "v8")


def test_the_personal_file_is_found(tmp_path: Path) -> None:
    file = tmp_path / "firkin" / "firkin.toml"
    file.parent.mkdir()
    file.write_text('store = "directory"\nimages = ["oci", "memory"]\n')
    config = load_config({"HOME": "/h", "XDG_CONFIG_HOME": str(tmp_path)})
    assert config.store == "directory"
    assert config.image_sources == ("oci", "memory")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('stor = "ext4"', "unknown keys: stor"),
        ('store = "btrfs"', "ext4, directory, memory"),
        ("start_concurrency = 0", "at least 1"),
        ('start_concurrency = "many"', "start_concurrency"),
        ("store = ", "is not TOML"),
        ("store = " + "[" * 100_000, "nested too deep"),
        ("#" * 2**21, "is longer than 1 MiB"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "firkin.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=told):
        load_config({"FIRKIN_CONFIG": str(file)})


def test_every_setting_that_words_can_say_is_a_key_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "firkin.toml"
    file.write_text("stor = 1")
    with pytest.raises(ConfigurationError) as refused:
        load_config({"FIRKIN_CONFIG": str(file)})
    told = str(refused.value).partition("known are ")[2].split(", ")
    assert sorted(told) == sorted(set(RuntimeConfig.__struct_fields__) - {"guest_build_progress"})
    file.write_text('logs = "memory"')
    assert load_config({"FIRKIN_CONFIG": str(file)}).logs == "memory"


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load_config({"FIRKIN_CONFIG": str(tmp_path / "none.toml")})


def test_each_port_takes_any_object_that_keeps_its_protocol() -> None:
    source = MemoryImageSource()
    config = RuntimeConfig(
        vmm=MemoryVmm(), store=MemoryPodStore(), agents=MemoryAgentConnector(), images=(source, "oci")
    )
    assert config.image_sources == (source, "oci")
    assert RuntimeConfig(images=source).image_sources == (source,)


@pytest.mark.parametrize(
    ("setting", "choices"), [("acceleration", "auto, kvm, tcg"), ("vsock", "auto, vhost, vhost_user")]
)
def test_a_wrong_setting_of_machines_is_told_with_the_choices(setting: str, choices: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{setting} is 'nonsense'; it must be one of {choices}"):
        replace(RuntimeConfig(), **{setting: "nonsense"})


def test_the_vsock_device_is_chosen_by_the_environment() -> None:
    assert load_config({"FIRKIN_VSOCK": "vhost", "HOME": "/nonexistent"}).vsock == "vhost"


def test_words_are_taken_for_paths_sizes_and_platforms(tmp_path: Path) -> None:
    words: dict[str, Any] = {
        "state_dir": str(tmp_path / "state"), "runtime_dir": str(tmp_path / "run"), "kernel": "/boot/vmlinuz",
        "allow_host_paths": ["/srv"], "memory": "512MiB", "platform": "linux/arm64",
    }  # fmt: skip
    values = RuntimeConfig(
        state_dir=tmp_path / "state", runtime_dir=tmp_path / "run", kernel=Path("/boot/vmlinuz"),
        allow_host_paths=(Path("/srv"),), memory=Size.mib(512), platform=Platform.parse("linux/arm64"),
    )  # fmt: skip
    assert RuntimeConfig(**words) == values
    assert RuntimeConfig(**words).placed() == values.placed()


@pytest.mark.parametrize("setting", ["vmm", "store", "agents", "images"])
def test_a_wrong_name_is_told_with_the_choices(setting: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{setting} is 'nonsense'; it must be one of .*memory"):
        replace(RuntimeConfig(), **{setting: "nonsense"})


@pytest.mark.parametrize("setting", ["vmm", "store", "agents", "images"])
def test_an_object_that_lacks_its_protocol_is_refused(setting: str) -> None:
    with pytest.raises(ConfigurationError, match="keeps the Protocol"):
        replace(RuntimeConfig(), **{setting: object()})


def test_a_class_in_place_of_an_object_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="keeps the Protocol Vmm"):
        replace(RuntimeConfig(), vmm=MemoryVmm)


def test_tracebacks_are_shown_only_when_asked_for() -> None:
    assert traceback_wanted({"FIRKIN_DEBUG": "1"})
    assert not traceback_wanted({})
