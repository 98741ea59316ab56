"""The completion scripts of bash, zsh and fish.

Layer: cli. Each asks the program that was typed, so that it fits the environment it is used in, and
evaluates nothing of what that prints.
"""

from __future__ import annotations

_BASH = r"""# bash completion of tui-trainer:  eval "$(tui-trainer completion bash)"  in ~/.bashrc
_tui_trainer() {
    local word before current line index
    local -a words=()
    # bash splits at = and :, which belong to our words; they are put together again.
    for ((index = 1; index <= COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        before=${COMP_WORDS[index - 1]}
        if ((index > 1)) && { [[ $word == [=:]* ]] || [[ $before == *[=:] ]]; }; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
    done
    current=${words[${#words[@]} - 1]}
    # What stands before the last = or : stays on the line as it is.
    local kept=${current%"${current##*[=:]}"}
    COMPREPLY=()
    while IFS= read -r line; do
        [[ $line == *[=.] ]] && compopt -o nospace 2>/dev/null
        COMPREPLY+=("${line#"$kept"}")
    done < <("$1" completion candidates -- "${words[@]}" 2>/dev/null)
}
complete -o default -o nosort -F _tui_trainer tui-trainer 2>/dev/null ||
    complete -o default -F _tui_trainer tui-trainer
"""

_ZSH = r"""#compdef tui-trainer
# zsh completion of tui-trainer:  eval "$(tui-trainer completion zsh)"  in ~/.zshrc, after compinit
_tui_trainer() {
    local -a asked found open
    asked=("${(Q)words[1]}" completion candidates -- "${(@Q)words[2,CURRENT]}")
    found=("${(@f)$("${asked[@]}" 2>/dev/null)}")
    found=(${found:#})
    if ((! $#found)); then
        _files
        return
    fi
    # Words that go on get no space.
    open=(${(M)found:#*[=.]})
    found=(${found:#*[=.]})
    (($#found)) && compadd -V tui-trainer -- "${found[@]}"
    (($#open)) && compadd -V tui-trainer-open -S '' -- "${open[@]}"
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
    _tui_trainer "$@"
else
    compdef _tui_trainer tui-trainer
fi
"""

_FISH = r"""# fish completion of tui-trainer:  tui-trainer completion fish | source  in config.fish
function __tui_trainer_candidates
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($words[1] completion candidates -- $words[2..-1] "$current" 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path "$current"
    end
end
complete -c tui-trainer -f -k -a '(__tui_trainer_candidates)'
"""

SCRIPTS: dict[str, str] = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
