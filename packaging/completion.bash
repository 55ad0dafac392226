# Completion for parley and parleyctl in bash: commands and options are asked of the programs themselves.
_parley() {
    local program=$1 now=$2 word command= words
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $word in -*) ;; *) command=$word; break ;; esac
    done
    case $now in
    -*) words=$({ "$program" $command --help; "$program" --help; } 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u) ;;
    *)
        if [ -z "$command" ]; then
            words=$("$program" --help 2>/dev/null |
                awk '/^[A-Z]/ { on = $0 !~ /^(Examples|Options|Exit|Environment)/ } on && /^  [a-z]/ { print $1 }' | sort -u)
        fi
        ;;
    esac
    # shellcheck disable=SC2207  # words without spaces
    COMPREPLY=($(compgen -W "$words" -- "$now"))
    [ ${#COMPREPLY[@]} != 0 ] || compopt -o default
}
complete -F _parley parley parleyctl
