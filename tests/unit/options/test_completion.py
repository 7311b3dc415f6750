"""Completion knows what the parsers know, in a real bash and a real zsh."""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest

from kubeedge_actors.options.completion import completion_script, completion_words
from kubeedge_actors.options.parsers import COMMANDS

FISH = pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed: apt-get install fish")
ZSH = pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed: apt-get install zsh")


def bash(*words: str) -> list[str]:
    """What bash offers for the last of these words."""
    script = f"COMP_WORDS=(kubeedge-actors {shlex.join(words)}); COMP_CWORD={len(words)}; compopt() {{ :; }}"
    text = f'{completion_script("bash")}\n{script}\n_kubeedge_actors\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(("bash", "-c", text), capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def zsh(*words: str) -> str:
    """What zsh's own functions are asked to offer for the last of these words."""
    stubs = "compdef() { : }; for each in _arguments _describe compadd; do functions[$each]='print -r -- \"$@\"'; done"
    script = f"words=(kubeedge-actors {shlex.join(words)}); CURRENT={len(words) + 1}"
    text = f"{stubs}\n{completion_script('zsh')}\n{script}\n_kubeedge_actors"
    done = subprocess.run(("zsh", "-f", "-c", text), capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout


def test_bash_offers_the_commands_then_their_options_then_their_values() -> None:
    assert bash("") == [*COMMANDS, "--help", "--version"]
    assert bash("d") == ["demo", "dashboard", "describe", "deadletters"]
    assert bash("edge", "--mqtt-t") == ["--mqtt-tls-cert", "--mqtt-tls-key", "--mqtt-tls-ca", "--mqtt-tls-port"]
    assert bash("edge", "--runtime", "") == ["auto", "docker", "process"]
    assert bash("edge", "--runtime", "=", "p") == ["process"]
    assert bash("edge", "--name", "") == []
    assert bash("completion", "") == ["-h", "--help", "--version", "bash", "zsh", "fish"]


def test_bash_knows_the_commands_of_a_command() -> None:
    assert bash("ctl", "") == [
        "-h",
        "--help",
        "--version",
        "get",
        "describe",
        "logs",
        "exec",
        "restart",
        "unhold-upgrade",
    ]
    assert bash("ctl", "get", "p") == ["pod", "pods", "po"]
    assert bash("ctl", "get", "-o", "") == ["wide", "json", "yaml", "name"]
    assert bash("control", "re") == ["restart", "resume", "remove"]
    assert bash("control", "trace", "--n") == ["--next"]


@pytest.mark.parametrize("path", completion_words())
def test_bash_offers_every_option_of_every_command(path: str) -> None:
    names = [name for word in completion_words()[path] for name in word.names if name.startswith("--")]
    assert bash(*path.split(), "--") == names


def test_bash_offers_files_and_folders(tmp_path: object) -> None:
    assert f"{tmp_path}" in bash("edge", "--data-dir", f"{tmp_path}")
    assert bash("edge", "--config", "/etc/hostnam") == ["/etc/hostname"]


@ZSH
def test_zsh_offers_the_same_with_a_word_about_each() -> None:
    assert zsh("").startswith("command commands")
    assert "*--runtime[how pods run -" in zsh("edge", "--ru")
    assert ":(auto docker process)" in zsh("edge", "--ru")
    assert (
        "*--config[KubeEdge's edgecore.yaml, or a file with these settings as keys; options win over it]:FILE:_files"
        in zsh("edge", "")
    )
    assert zsh("control", "").split()[:3] == ["--", "tree", "health"]
    assert "*--next[only the next one; ends when nothing more comes of it]" in zsh("control", "trace", "")


def test_what_fish_is_told_names_every_command_and_option() -> None:
    script = completion_script("fish")
    for command in COMMANDS:
        assert f"-n __fish_use_subcommand -a {command} -d " in script
    assert (
        "-n '__fish_seen_subcommand_from ctl; and __fish_seen_subcommand_from get' -s o -l output -r -a 'wide json yaml name'"
        in script
    )


@FISH
def test_fish_offers_options_and_values(tmp_path: object) -> None:
    def fish(line: str) -> list[str]:
        text = f"{completion_script('fish')}\ncomplete -C {shlex.quote(line)}"
        done = subprocess.run(
            ("fish", "--no-config", "-c", text), capture_output=True, text=True, timeout=60, check=True
        )
        return [each.partition("\t")[0] for each in done.stdout.splitlines()]

    assert fish("kubeedge-actors ctl get -o ") == ["json", "name", "wide", "yaml"]
    assert "--mqtt-tls-cert" in fish("kubeedge-actors edge --mqtt-t")
