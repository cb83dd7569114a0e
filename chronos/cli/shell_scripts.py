"""The completion scripts: each hands what was typed to `chrono _complete` and offers what comes back."""

from __future__ import annotations

_BASH = r"""# chrono completion for bash: eval "$(chrono completion bash)"
_chrono_complete() {
    COMPREPLY=()
    local candidate
    while IFS= read -r candidate; do
        COMPREPLY+=("$candidate")
    done < <("${COMP_WORDS[0]}" _complete bash -- "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}
complete -o default -F _chrono_complete chrono
"""

_ZSH = r"""#compdef chrono
# chrono completion for zsh: eval "$(chrono completion zsh)" after compinit
_chrono() {
    local line
    local -a values shown
    while IFS= read -r line; do
        values+=("${line%%$'\t'*}")
        shown+=("${line%%$'\t'*}  ${line#*$'\t'}")
    done < <("${words[1]}" _complete zsh -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    if (( ${#values} )); then
        compadd -l -d shown -a values
    else
        _files
    fi
}
if [[ "${funcstack[1]}" = _chrono ]]; then
    _chrono "$@"
else
    compdef _chrono chrono
fi
"""

_FISH = r"""# chrono completion for fish: chrono completion fish > ~/.config/fish/completions/chrono.fish
function __chrono_complete
    set -l words (commandline -opc)
    set -l found ($words[1] _complete fish -- $words[2..-1] (commandline -ct) 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c chrono -f -a '(__chrono_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
