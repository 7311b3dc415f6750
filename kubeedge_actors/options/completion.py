"""Shell completion, made from the parsers: what there is to type is written nowhere else.

A metavar says what a value is completed with: FILE with files, DIR with folders, {a,b} with these words, anything else with nothing.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from kubeedge_actors.options.parsers import COMMANDS, SCRIPT, parser

FILES, FOLDERS = "FILE", "DIR"


class CompletionWord(NamedTuple):
    """One option, or a place for a word (`names` is empty then); `values` are its words, or FILES or FOLDERS; `takes`: whether it has a value."""

    names: tuple[str, ...]
    about: str
    takes: bool
    values: tuple[str, ...]
    metavar: str


def completion_words() -> dict[str, list[CompletionWord]]:
    """What may be typed behind each command, and behind each command of a command."""
    words: dict[str, list[CompletionWord]] = {}
    for command in COMMANDS:
        words |= _lines(command, parser(command))
    return words


def _lines(path: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, list[CompletionWord]]]:
    yield path, [word for action in parser._actions for word in _words(action)]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, subparser in action.choices.items():
                yield from _lines(f"{path} {name}", subparser)


def _words(action: argparse.Action) -> Iterator[CompletionWord]:
    metavar = str(action.metavar or action.dest)
    values = tuple(map(str, action.choices)) if action.choices else _values(metavar)
    about = str(action.help or "").partition(" (default")[0].replace("%(prog)s", SCRIPT)
    yield CompletionWord(tuple(action.option_strings), about, action.nargs != 0, values, metavar)


def _values(metavar: str) -> tuple[str, ...]:
    if metavar.startswith("{"):
        return tuple(metavar.strip("{}").split(","))
    return (metavar,) if metavar in (FILES, FOLDERS) else ()


def completion_script(shell: str) -> str:
    """What `source` takes. `shell`: bash, zsh or fish."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()


BASH = """\
# completion of {program} for bash: source <({program} completion bash)
_kubeedge_actors() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command=${{COMP_WORDS[1]}}
    if [[ $word == = ]]; then word=; elif [[ $before == = ]]; then before=${{COMP_WORDS[COMP_CWORD-2]}}; fi
    (( COMP_CWORD == 1 )) && command=
    case $command in {nested}) (( COMP_CWORD > 2 )) && command+=" ${{COMP_WORDS[2]}}" ;; esac
    local words=
    case "$command $before" in
{values}
    *) case $command in
{words}
        esac ;;
    esac
    case $words in
    {files}) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    {folders}) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word") ;;
    esac
}}
complete -F _kubeedge_actors {program}
"""


def _bash() -> str:
    by_path = completion_words()
    top = [*COMMANDS, "--help", "--version"]
    words = [f"        '') words={shlex.quote(' '.join(top))} ;;"]
    values = []
    for path, words_here in by_path.items():
        typed = [name for word in words_here for name in (word.names or word.values)]
        words.append(f"        {shlex.quote(path)}) words={shlex.quote(' '.join(typed))} ;;")
        for word in words_here:
            if word.names and word.takes:
                pattern = "|".join(shlex.quote(f"{path} {name}") for name in word.names)
                values.append(f"    {pattern}) words={shlex.quote(' '.join(word.values))} ;;")
    return BASH.format(
        program=SCRIPT,
        nested="|".join(sorted({path.split()[0] for path in by_path if " " in path})),
        values="\n".join(values),
        words="\n".join(words),
        files=FILES,
        folders=FOLDERS,
    )


ZSH = """\
# completion of {program} for zsh: source <({program} completion zsh), after compinit
_kubeedge_actors() {{
    local command=$words[2]
    if (( CURRENT == 2 )); then
        local -a commands=({commands})
        _describe command commands
        return
    fi
    shift words; (( CURRENT-- ))
    case $command in {nested})
        if (( CURRENT == 2 )); then
            command+=" COMMAND"
        else
            command+=" $words[2]"; shift words; (( CURRENT-- ))
        fi ;;
    esac
    case $command in
{words}
    esac
}}
compdef _kubeedge_actors {program}
"""


def _zsh() -> str:
    by_path = completion_words()
    nested = sorted({path.split()[0] for path in by_path if " " in path})
    words = []
    for path, words_here in by_path.items():
        if path in nested:
            (places,) = (word for word in words_here if not word.names and word.values)
            words.append(f"    {shlex.quote(f'{path} COMMAND')}) compadd -- {' '.join(places.values)} ;;")
            continue
        specs = " ".join(shlex.quote(spec) for word in words_here for spec in _specs(word))
        words.append(f"    {shlex.quote(path)}) _arguments {specs} ;;")
    commands = " ".join(shlex.quote(f"{name}:{command.about.replace(':', ' -')}") for name, command in COMMANDS.items())
    return ZSH.format(program=SCRIPT, nested="|".join(nested), words="\n".join(words), commands=commands)


def _specs(word: CompletionWord) -> Iterator[str]:
    """The words of zsh's `_arguments` for one option."""
    about = word.about.replace("[", "(").replace("]", ")").replace(":", " -")
    action = {FILES: "_files", FOLDERS: "_files -/"}.get(" ".join(word.values), f"({' '.join(word.values)})")
    value = f":{word.metavar.replace(':', ' ')}:{action}"
    for name in word.names:
        yield f"*{name}[{about}]{value if word.takes else ''}"
    if not word.names:
        yield f"*{value}"


FISH = """\
# completion of {program} for fish: {program} completion fish | source
complete -c {program} -f
{lines}
"""


def _fish() -> str:
    lines = []
    for name, command in COMMANDS.items():
        lines.append(_fish_line("__fish_use_subcommand", ["-a", name, "-d", command.about]))
    for path, words_here in completion_words().items():
        typed, *below = path.split()
        where = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in (typed, *below))
        lines += [_fish_line(where, _fish_word(word)) for word in words_here]
    return FISH.format(program=SCRIPT, lines="\n".join(dict.fromkeys(lines)))


def _fish_line(condition: str, words: list[str]) -> str:
    return shlex.join(["complete", "-c", SCRIPT, "-n", condition, *words])


def _fish_word(word: CompletionWord) -> list[str]:
    """What tells fish of one option, or of the words at one place."""
    named = [part for name in word.names for part in ("-l" if name.startswith("--") else "-s", name.lstrip("-"))]
    values = {FILES: ["-F"], FOLDERS: ["-a", "(__fish_complete_directories)"]}.get(
        " ".join(word.values), ["-a", " ".join(word.values)] if word.values else []
    )
    takes = ["-r"] if word.names and word.takes else []
    return [*named, *takes, *(values if takes or not word.names else []), "-d", word.about]
