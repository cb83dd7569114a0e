"""Programs that start another one: which words are the other one's, told from their own options."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from historian.risk.arguments import Word


class Wrapper(msgspec.Struct, frozen=True):
    """How to find the other program: options that take a value, words before it, and what marks it.

    `verb` are the subcommands of which one must come first; `after` is a word after which it stands, "--" above all.
    With `is_text` what is left is one text for a shell.
    """

    valued: str = ""
    skip: int = 0
    verb: str = ""
    needs_separator: bool = False
    is_text: bool = False
    text_option: str = ""
    is_remote: bool = False


_DOCKER_RUN = (
    "-e --env -u --user -w --workdir -v --volume -p --publish --name --network --net --entrypoint --env-file -h "
    "--hostname --mount -m "
    "--memory --cpus -l --label --platform --gpus --add-host --restart --cap-add --cap-drop --device "
    "--ipc --pid --shm-size --tmpfs --ulimit -c --log-driver --dns"
)
_KUBECTL = "-n --namespace -c --container --context --kubeconfig --cluster --user -s"
_SSH = "-p -i -l -o -F -L -R -D -J -c -b -e -m -W -w -S -E -I -B -Q"
WRAPPERS: dict[str, tuple[Wrapper, ...]] = {
    "sudo": (
        Wrapper("-u -g -h -p -C -D -R -T -U -r -t --user --group --host --prompt --chdir --chroot --command-timeout"),
    ),
    "doas": (Wrapper("-u -C -a"),),
    "env": (Wrapper("-u -C --unset --chdir", text_option="-S"),),
    "time": (Wrapper("-f -o --format --output"),),
    "timeout": (Wrapper("-s -k --signal --kill-after", 1),),
    "gtimeout": (Wrapper("-s -k", 1),),
    "nice": (Wrapper("-n --adjustment"),),
    "ionice": (Wrapper("-c -n -p --class --classdata"),),
    "nohup": (Wrapper(),),
    "setsid": (Wrapper(),),
    "stdbuf": (Wrapper("-i -o -e"),),
    "exec": (Wrapper("-a"),),
    "command": (Wrapper(),),
    "builtin": (Wrapper(),),
    "busybox": (Wrapper(),),
    "toybox": (Wrapper(),),
    "caffeinate": (Wrapper("-t -w"),),
    "chroot": (Wrapper("", 1),),
    "unshare": (Wrapper(),),
    "nsenter": (Wrapper("-t --target -S -G"),),
    "strace": (Wrapper("-o -e -p -s -P -u -E"),),
    "ltrace": (Wrapper("-o -e -p -s"),),
    "flock": (Wrapper("-w -E --timeout", 1, text_option="-c"),),
    "taskset": (Wrapper("", 1),),
    "chrt": (Wrapper("", 1),),
    "watch": (Wrapper("-n -d --interval", is_text=True),),
    "entr": (Wrapper(),),
    "xargs": (Wrapper("-I -n -P -L -d -a -s -E -R -J --max-args --max-procs --delimiter --arg-file"),),
    "parallel": (Wrapper("-j -a -S -I -N -n -L --jobs --arg-file --sshlogin --colsep --results", is_text=True),),
    "systemd-run": (Wrapper("-p -u --unit --uid --gid -M --property --slice --on-active --on-calendar"),),
    "firejail": (Wrapper(),),
    "bwrap": (Wrapper("--bind --ro-bind --dev --proc --tmpfs --chdir --setenv"),),
    "proot": (Wrapper("-r -b -w"),),
    "fakeroot": (Wrapper(),),
    "catchsegv": (Wrapper(),),
    "rlwrap": (Wrapper(),),
    "winpty": (Wrapper(),),
    "unbuffer": (Wrapper(),),
    "cpulimit": (Wrapper("-l -p"),),
    "prlimit": (Wrapper(),),
    "numactl": (Wrapper(),),
    "direnv": (Wrapper("", 1, verb="exec"),),
    "dotenv": (Wrapper("-f -e", 0),),
    "envchain": (Wrapper("", 1),),
    "aws-vault": (Wrapper("", 1, verb="exec", needs_separator=True),),
    "op": (Wrapper("", verb="run", needs_separator=True),),
    "doppler": (Wrapper("-p -c", verb="run", needs_separator=True),),
    "chamber": (Wrapper("", 1, verb="exec", needs_separator=True),),
    "with-contenv": (Wrapper(),),
    "tini": (Wrapper(),),
    "dumb-init": (Wrapper(),),
    "su-exec": (Wrapper("", 1),),
    "gosu": (Wrapper("", 1),),
    "hyperfine": (Wrapper("-w -r --warmup --runs", is_text=True),),
    "dbus-run-session": (Wrapper(),),
    "xvfb-run": (Wrapper("-s -n -e"),),
    "coproc": (Wrapper(),),
    "chpst": (Wrapper("-u"),),
    "torsocks": (Wrapper(),),
    "proxychains": (Wrapper(),),
    "proxychains4": (Wrapper(),),
    "sem": (Wrapper("-j", is_text=True),),
    "mosh": (Wrapper("", 1, is_text=True, is_remote=True),),
    "eatmydata": (Wrapper(),),
    "not": (Wrapper(),),
    "then": (Wrapper(),),
    "pkexec": (Wrapper("--user"),),
    "gsudo": (Wrapper(),),
    "run0": (Wrapper(),),
    "calife": (Wrapper(),),
    "sudoedit": (Wrapper("", 99),),
    "ssh": (Wrapper(_SSH, 1, is_text=True, is_remote=True),),
    "autossh": (Wrapper(_SSH + " -M", 1, is_text=True, is_remote=True),),
    "rsh": (Wrapper("-l", 1, is_text=True, is_remote=True),),
    "sshpass": (Wrapper("-p -f -d"),),
    "pssh": (Wrapper("-h -H -l -p -t -o", is_text=True, is_remote=True),),
    "pdsh": (Wrapper("-w -g -l", is_text=True, is_remote=True),),
    "dsh": (Wrapper("-m -g", is_text=True, is_remote=True),),
    "docker": (
        Wrapper(_DOCKER_RUN, 1, verb="exec"),
        Wrapper(_DOCKER_RUN, 1, verb="run"),
        Wrapper(_DOCKER_RUN + " -f --file --profile", 1, verb="compose exec"),
        Wrapper(_DOCKER_RUN + " -f --file --profile", 1, verb="compose run"),
        Wrapper(_DOCKER_RUN, 1, verb="container exec"),
        Wrapper(_DOCKER_RUN, 1, verb="container run"),
    ),
    "kubectl": (
        Wrapper(_KUBECTL, 1, verb="exec", needs_separator=True),
        Wrapper(_KUBECTL + " --image", 1, verb="run", needs_separator=True),
        Wrapper(_KUBECTL + " --image", 1, verb="debug", needs_separator=True),
        Wrapper(_KUBECTL, 1, verb="exec"),
    ),
    "docker-compose": (
        Wrapper(_DOCKER_RUN + " -f --file", 1, verb="exec"),
        Wrapper(_DOCKER_RUN + " -f --file", 1, verb="run"),
    ),
    "lxc": (Wrapper("", 1, verb="exec", needs_separator=True),),
    "incus": (Wrapper("", 1, verb="exec", needs_separator=True),),
    "machinectl": (Wrapper("", 1, verb="shell"),),
    "multipass": (Wrapper("", 1, verb="exec", needs_separator=True),),
    "crictl": (Wrapper("", 1, verb="exec"),),
    "ctr": (Wrapper("", 1, verb="exec"),),
    "nomad": (Wrapper("-task -job", 1, verb="alloc exec"),),
    "vagrant": (Wrapper(text_option="-c", verb="ssh"),),
    "flyctl": (Wrapper(text_option="-C", verb="ssh console"),),
    "fly": (Wrapper(text_option="-C", verb="ssh console"),),
    "heroku": (Wrapper("-a --app -r -s --size", verb="run"),),
    "gcloud": (Wrapper(text_option="--command", verb="compute ssh"),),
    "aws": (Wrapper(text_option="--command", verb="ecs execute-command"),),
    "railway": (Wrapper("", verb="run"),),
    "wsl": (Wrapper("-d -u"),),
    "toolbox": (Wrapper("", verb="run"),),
    "distrobox": (Wrapper("", 1, verb="enter", needs_separator=True),),
    "flatpak-spawn": (Wrapper(),),
    "devbox": (Wrapper("", verb="run"),),
    "poetry": (Wrapper("-C -P", verb="run"),),
    "uv": (Wrapper("--with --python -p --directory --project --extra --group --env-file", verb="run"),),
    "uvx": (Wrapper("--from --with --python"),),
    "pipenv": (Wrapper("", verb="run"),),
    "pdm": (Wrapper("", verb="run"),),
    "hatch": (Wrapper("-e", verb="run"),),
    "rye": (Wrapper("", verb="run"),),
    "pipx": (Wrapper("--spec", verb="run"),),
    "conda": (Wrapper("-n -p --name --prefix", verb="run"),),
    "mamba": (Wrapper("-n -p", verb="run"),),
    "pixi": (Wrapper("", verb="run"),),
    "bundle": (Wrapper("", verb="exec"),),
    "rbenv": (Wrapper("", verb="exec"),),
    "pyenv": (Wrapper("", verb="exec"),),
    "npx": (Wrapper("-p --package -c"),),
    "bunx": (Wrapper(),),
    "pnpx": (Wrapper(),),
    "pnpm": (Wrapper("-C --filter -F", verb="exec"), Wrapper("-C --package", verb="dlx")),
    "yarn": (Wrapper("", verb="exec"), Wrapper("-p", verb="dlx")),
    "npm": (Wrapper("--package -p -w", verb="exec"), Wrapper("--package", verb="x")),
    "bun": (Wrapper("", verb="x"),),
    "mise": (Wrapper("", verb="exec", needs_separator=True), Wrapper("", verb="x", needs_separator=True)),
    "asdf": (Wrapper("", verb="exec"),),
    "volta": (Wrapper("", verb="run"),),
    "nvm": (Wrapper("", 1, verb="exec"),),
    "dotnet": (Wrapper("", verb="tool run"),),
    "symfony": (Wrapper(verb="console"),),
    "sail": (Wrapper(),),
    "ddev": (Wrapper("-s", verb="exec"), Wrapper("")),
    "lando": (Wrapper(),),
    "spring": (Wrapper(),),
    "foreman": (Wrapper("", verb="run"),),
    "overmind": (Wrapper(),),
    "dokku": (Wrapper("", 1, verb="run"),),
    "rustup": (Wrapper("", 1, verb="run"),),
    "corepack": (Wrapper(),),
    "su": (Wrapper("-s -g -G", text_option="-c"),),
    "runuser": (Wrapper("-s -g -G -u", text_option="-c"),),
    "script": (Wrapper("", text_option="-c"),),
    "nix-shell": (Wrapper("-p -I", text_option="--run"),),
    "nix": (Wrapper("", verb="develop", text_option="-c"), Wrapper("", verb="shell", text_option="-c")),
    "guix": (Wrapper("", verb="shell", needs_separator=True),),
    "screen": (Wrapper("-S -L -Logfile -h -s -t"),),
    "tmux": (
        Wrapper("-s -n -c -t -x -y", verb="new-session"),
        Wrapper("-s -n -c -t", verb="new"),
        Wrapper("-t -n -c", verb="new-window"),
        Wrapper("-t", verb="send-keys", is_text=True),
        Wrapper("-t", verb="split-window"),
    ),
    "xterm": (Wrapper(text_option="-e"),),
    "gnome-terminal": (Wrapper("", needs_separator=True),),
    "cmd": (Wrapper(is_text=True),),
    "start": (Wrapper(),),
    "terragrunt": (Wrapper("", verb="exec", needs_separator=True),),
    "salt": (Wrapper("", 2, is_text=True, is_remote=True),),
    "fab": (Wrapper("-H -u -i", needs_separator=True, is_text=True, is_remote=True),),
    "adb": (Wrapper("-s", verb="shell", is_text=True),),
    "chrono": (
        Wrapper("--policy", verb="run", needs_separator=True),
        Wrapper("--from --to --timeline", verb="bisect run", needs_separator=True),
        Wrapper("", 1, verb="timeline run", needs_separator=True),
    ),
    "git-bisect": (Wrapper("", verb="run"),),
    "lerna": (Wrapper("", verb="exec", needs_separator=True),),
    "turbo": (Wrapper("", 99),),
    "make-run": (Wrapper(),),
    "onchange": (Wrapper("", needs_separator=True),),
    "nodemon": (Wrapper(text_option="--exec"),),
    "concurrently": (Wrapper(is_text=True),),
    "npm-run-all": (Wrapper("", 99),),
    "retry": (Wrapper("-t -d"),),
    "chronic": (Wrapper(),),
    "ts": (Wrapper(),),
    "at": (Wrapper("", 99),),
    "Start-Process": (Wrapper(),),
}


class Wrapped(msgspec.Struct, frozen=True):
    """The other program: as words, or as a text for a shell. `host` is where it runs when that is elsewhere."""

    words: tuple[Word, ...] = ()
    text: str = ""
    host: str = ""


def find_wrapped(name: str, words: Sequence[Word]) -> Wrapped | None:
    """Return the program that `name` starts, or None when it starts none with these words."""
    for wrapper in WRAPPERS.get(name, ()):
        rest = _after_verb(list(words[1:]), wrapper)
        if rest is None:
            continue
        found = _peel(wrapper, rest)
        if found is not None:
            return found
    return None


def _after_verb(rest: list[Word], wrapper: Wrapper) -> list[Word] | None:
    """Return what follows the subcommands that are asked for, with options that stood before them left out."""
    valued = wrapper.valued.split()
    for verb in wrapper.verb.split():
        while rest and rest[0].text.startswith("-"):
            rest = rest[2:] if rest[0].text in valued else rest[1:]
        if not rest or rest[0].text != verb:
            return None
        rest = rest[1:]
    return rest


def _peel(wrapper: Wrapper, rest: list[Word]) -> Wrapped | None:
    if wrapper.text_option:
        for number, word in enumerate(rest):
            flag, equals, value = word.text.partition("=")
            if flag == wrapper.text_option or (
                len(flag) <= 5
                and flag[:1] == "-"
                and flag[1:2] != "-"
                and flag.endswith(wrapper.text_option[1:])
                and len(wrapper.text_option) == 2
            ):
                text = value if equals else " ".join(word.text for word in rest[number + 1 : number + 2])
                return Wrapped(text=text, host="elsewhere" if wrapper.is_remote else "") if text else None
    if wrapper.needs_separator:
        places = [number for number, word in enumerate(rest) if word.text == "--"]
        if not places:
            return None
        rest = rest[places[0] + 1 :]
        return _finish(wrapper, rest, "elsewhere" if wrapper.is_remote else "") if rest else None
    rest = _skip_options(rest, wrapper.valued.split())
    host = rest[0].text if rest and wrapper.is_remote and wrapper.skip else "elsewhere" if wrapper.is_remote else ""
    for _ in range(wrapper.skip):
        rest = _skip_options(rest[1:], wrapper.valued.split() if wrapper.is_remote else ())
    return _finish(wrapper, rest, host) if rest else None


def _finish(wrapper: Wrapper, rest: list[Word], host: str) -> Wrapped:
    is_one = len(rest) == 1 and rest[0].is_quoted and " " in rest[0].text
    if wrapper.is_text or is_one:
        return Wrapped(
            text=" ".join(word.text for word in rest if not re.fullmatch(r"C-m|Enter|/[cCkK]", word.text)), host=host
        )
    return Wrapped(words=tuple(rest), host=host)


def _skip_options(rest: list[Word], valued: Sequence[str]) -> list[Word]:
    while rest:
        text = rest[0].text
        if text == "--":
            return rest[1:]
        if text.startswith("-") and len(text) > 1:
            rest = rest[2:] if text in valued else rest[1:]
        elif re.fullmatch(r"[A-Za-z_]\w*=.*", text, re.S):
            rest = rest[1:]
        else:
            break
    return rest
