"""The option table in other forms, each made from it: the manual page, completions for shells, and JSON for programs."""

from __future__ import annotations

import json

from lakesql.frontends import options
from lakesql.frontends.options import COMMANDS, EXIT_CODES, SHELLS, Option, option_table


def spec() -> str:
    """The command line as JSON: usage, options, commands, formats, exit codes."""
    from lakesql.frontends.render import FORMATS

    told = {
        "usage": options.USAGE,
        "options": [{"flags": list(o.flags), "value": o.metavar, "help": o.help} for o in option_table()],
        "commands": [{"name": name, "help": words} for name, words in COMMANDS.items()],
        "formats": list(FORMATS),
        "exit_codes": {str(code): words for code, words in EXIT_CODES.items()},
    }
    return json.dumps(told, indent=2) + "\n"


def man(version: str) -> str:
    """The manual page, as roff: `lakesql --man | man -l -`."""
    lines = [f'.TH LAKESQL 1 "" "lakesql {_roff(version)}"', ".SH NAME", "lakesql \\- SQL over lakehouse tables", ".SH SYNOPSIS", _roff(options.USAGE)]
    lines += [".SH DESCRIPTION", *map(_roff, options.DESCRIPTION.split("\n")), ".SH OPTIONS"]
    for option in option_table():
        lines += [".TP", ", ".join(f"\\fB{_roff(_named(flag, option))}\\fR" for flag in option.flags), _roff(option.help)]
    lines += [".SH COMMANDS"]
    for name, words in COMMANDS.items():
        lines += [".TP", f"\\fBlakesql {_roff(name)}\\fR", _roff(words)]
    lines += [".SH EXIT STATUS"]
    for code, words in EXIT_CODES.items():
        lines += [".TP", f"\\fB{code}\\fR", _roff(words)]
    return "\n".join(lines) + "\n"


def completions(shell: str) -> str:
    """A script that completes flags, files, formats and commands. shell: one of SHELLS."""
    from lakesql.frontends.render import FORMATS

    table = option_table()
    flags = [flag for option in table for flag in option.flags]
    valued = [flag for option in table for flag in option.flags if option.metavar in ("FILE", "TARGET")]
    words = [name.split()[0] for name in COMMANDS]
    match shell:
        case "bash":
            return _BASH.format(
                flags=" ".join(flags), formats=" ".join(FORMATS), shells=" ".join(SHELLS), files="|".join(valued), words=" ".join(dict.fromkeys(words))
            )
        case "zsh":
            return "#compdef lakesql\n_arguments -s \\\n" + "".join(_zsh(o, " ".join(FORMATS)) for o in table) + "  '*:target:_files'\n"
        case _:
            lines = [f"complete -c lakesql -n __fish_is_first_arg -a {word!r}" for word in dict.fromkeys(words)]
            return "\n".join([*lines, *(_fish(o, " ".join(FORMATS)) for o in table)]) + "\n"


_BASH = """_lakesql() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    case $before in
        --format) COMPREPLY=($(compgen -W "{formats}" -- "$word")) ;;
        --completions) COMPREPLY=($(compgen -W "{shells}" -- "$word")) ;;
        {files}) COMPREPLY=($(compgen -f -- "$word")) ;;
        *) if [[ $word == -* ]]; then COMPREPLY=($(compgen -W "{flags}" -- "$word"))
           else COMPREPLY=($(compgen -f -W "{words}" -- "$word")); fi ;;
    esac
}}
complete -o filenames -F _lakesql lakesql
"""


def _zsh(option: Option, formats: str) -> str:
    words = option.help.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    value = {None: "", "FORMAT": f":format:({formats})", "SHELL": f":shell:({' '.join(SHELLS)})", "FILE": ":file:_files"}.get(option.metavar, ":value: ")
    return "".join(f"  '*{flag}[{words}]{value}' \\\n" for flag in option.flags)


def _fish(option: Option, formats: str) -> str:
    names = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
    value = {None: "-f", "FORMAT": f"-x -a '{formats}'", "SHELL": f"-x -a '{' '.join(SHELLS)}'", "FILE": "-r"}.get(option.metavar, "-x")
    words = option.help.replace("\\", "\\\\").replace("'", "\\'")
    return f"complete -c lakesql {names} {value} -d '{words}'"


def _named(flag: str, option: Option) -> str:
    return flag if option.metavar is None else f"{flag} {option.metavar}"


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
