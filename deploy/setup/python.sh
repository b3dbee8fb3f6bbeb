# Finds a Python that can make environments. Sourced by setup.sh.

# Prints the interpreter's name; where there is none, says in one sentence what to install.
find_python() {
    local name newest="" crippled=""
    for name in python3.11 python3.12 python3.13 python3.14 python3; do
        command -v "$name" >/dev/null || continue
        if ! "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            newest=$("$name" -c 'import platform; print(platform.python_version())' 2>/dev/null || true)
        elif ! "$name" -c 'import ensurepip, venv' 2>/dev/null; then
            crippled=$name
        else
            printf '%s\n' "$name"
            return
        fi
    done
    if [ -n "$crippled" ]; then
        echo "This Python cannot make virtual environments yet: install its venv module (on Debian: apt install python3-venv) and run this again." >&2
    elif [ -n "$newest" ]; then
        echo "Junto needs Python 3.11 or newer and found only $newest: install a newer one and run this again." >&2
    else
        echo "Junto needs Python 3.11 or newer and found none: install it (on Debian: apt install python3-venv) and run this again." >&2
    fi
    return 1
}

# A new CI machine may lack Debian's venv package: there it is installed like the other packages that the tests need.
python_for_tests() {
    [ -x .venv/bin/python ] && return
    find_python >/dev/null 2>&1 && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        install_packages python3-venv
    fi
    find_python >/dev/null
}
