# The Debian packages that the tests talk to: real mail, database and browser programs. Sourced by setup.sh.
# Nothing that is installed is removed or replaced, and none of their services is started.

POLICY=/usr/sbin/policy-rc.d
MARK="# put here by Junto's setup while it installs packages"

missing_packages() {
    [ -x /usr/sbin/postfix ] || echo postfix
    [ -e /usr/lib/postfix/postfix-lmdb.so ] || echo postfix-lmdb
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || echo postgresql
    [ -x /usr/lib/dovecot/imap ] || echo dovecot-imapd
    [ -x /usr/lib/dovecot/lmtp ] || echo dovecot-lmtpd
    [ -x /usr/bin/rspamd ] || echo rspamd
    [ -x /usr/bin/mutt ] || echo mutt
    [ -x /usr/bin/swaks ] || echo swaks
    [ -x /usr/bin/tmux ] || echo tmux
    [ -x /usr/bin/chromium ] || echo chromium
    [ -d /usr/share/fonts/truetype/dejavu ] || echo fonts-dejavu-core
}

debian_packages() {
    local missing removed
    if grep -qsF "$MARK" $POLICY; then release_services; fi   # left by a run that was killed
    missing=$(missing_packages | xargs)
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null; then
        say "The tests talk to Debian's $missing, which this system does not have: tests that need them are skipped by name."
        return 0
    fi
    if [ "$(id -u)" != 0 ]; then
        say "Tests that need a missing program are skipped by name; to run them all:"
        say "    sudo apt install --no-install-recommends $missing"
        return 0
    fi
    refresh_lists $missing
    removed=$(would_remove $missing)
    if [ -n "$removed" ] && [ "${JUNTO_APT-}" != 1 ]; then
        say "Installing Postfix would remove $removed, so it is left out (JUNTO_APT=1 does it anyway); tests that need it are skipped by name."
        missing=$(printf '%s\n' $missing | grep -v postfix | xargs || true)
        [ -n "$missing" ] || return 0
        removed=$(would_remove $missing)
        [ -z "$removed" ] || { say "Installing $missing would remove $removed: nothing is installed."; return 0; }
    fi
    install_packages $missing
}

apt() { DEBIAN_FRONTEND=noninteractive PATH=$PATH:/usr/sbin:/sbin apt-get -o DPkg::Lock::Timeout=500 "$@"; }

# A machine that has never seen a package list, or an old one, cannot name what it would install.
refresh_lists() {
    apt -s install --no-install-recommends "$@" >/dev/null 2>&1 || apt -qq update >&2
}

would_remove() { apt -s install --no-install-recommends "$@" 2>/dev/null | sed -n 's/^Remv \([^ ]*\).*/\1/p' | xargs; }

install_packages() (
    # A subshell: its exit trap puts the machine's own policy back, whatever happens.
    mkdir -p .setup
    say "Installing $* (once; about a minute) ..."
    trap release_services EXIT
    hold_services || exit 1
    trap 'exit 130' INT TERM HUP
    case " $* " in *" postfix "*)
        echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections ;;
    esac
    refresh_lists "$@"
    apt install -y --no-install-recommends "$@" >.setup/apt.log 2>&1 && return
    apt -qq update >&2
    apt install -y --no-install-recommends "$@" >.setup/apt.log 2>&1 && return
    tail -n 15 .setup/apt.log >&2
    say "apt could not install $*: see above, and all of it in .setup/apt.log."
    exit 1
)

# policy-rc.d(8): 101 forbids every start, else Postfix would take port 25 and PostgreSQL 5432.
hold_services() {
    if [ -e $POLICY ] && ! grep -qF "$MARK" $POLICY; then
        mv $POLICY $POLICY.before-junto
    fi
    printf '#!/bin/sh\n%s\nexit 101\n' "$MARK" >$POLICY
    chmod 755 $POLICY
}

release_services() {
    rm -f $POLICY
    if [ -e $POLICY.before-junto ]; then mv $POLICY.before-junto $POLICY; fi
}
