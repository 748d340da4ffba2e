#!/bin/sh
# Says what is missing and installs it, or stops with the exact command to type.
#
#   scripts/deps.sh [build] [lint] [oracle]      build: Rust, a C++ compiler, libclang, make; then RocksDB
#                                                lint: clippy and rustfmt   oracle: Go
#
# Packages come from the system's package manager; a Rust that is too old there comes from rustup, into
# the home directory. sudo only after asking; YES=1 asks nothing. Proxies: http_proxy, https_proxy, no_proxy.

# shellcheck source=scripts/environment.sh
. "$(dirname "$0")/environment.sh"

rust_minimum=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
# The oldest Go that downloads the toolchain a go.mod asks for by itself.
go_minimum=1.21

have() { command -v "$1" >/dev/null 2>&1; }

# at_least 1.95.0 1.89: major and minor decide.
at_least() {
    major=${1%%.*} rest=${1#*.} minimum_major=${2%%.*} minimum_rest=${2#*.}
    minor=${rest%%[!0-9]*} minimum_minor=${minimum_rest%%[!0-9]*}
    [ "${major:-0}" -gt "$minimum_major" ] ||
        { [ "${major:-0}" -eq "$minimum_major" ] && [ "${minor:-0}" -ge "$minimum_minor" ]; }
}

rust_version() { rustc --version 2>/dev/null | awk '{ print $2 }'; }
go_version() { go version 2>/dev/null | awk '{ sub(/^go/, "", $3); print $3 }'; }

# bindgen reads RocksDB's header with libclang, which brings headers of its own. Xcode's is found without help.
have_libclang() {
    [ "$(uname -s)" != Darwin ] || return 0
    found=''
    for library in "${LIBCLANG_PATH:-/usr/lib}"/libclang*so* /usr/lib/*/libclang*so* /usr/lib64/libclang*so* \
        /usr/lib/llvm*/lib/libclang*so*; do
        case $library in *libclang-cpp*) ;; *) [ ! -e "$library" ] || found=1 ;; esac
    done
    [ -n "$found" ] || return 1
    for header in /usr/lib/llvm*/lib/clang/*/include/stdbool.h /usr/lib*/clang/*/include/stdbool.h; do
        [ ! -e "$header" ] || return 0
    done
    return 1
}

rust_is_new_enough() { have cargo && have rustc && at_least "$(rust_version)" "$rust_minimum"; }

# --- What is missing? One word each.

missing_parts() {
    for part in "$@"; do
        case $part in
            build)
                have c++ || echo c++
                have_libclang || echo libclang
                have make || echo make
                [ -d /etc/ssl/certs ] || [ ! -r /etc/debian_version ] || echo certificates
                rust_is_new_enough || echo rust
                ;;
            lint)
                cargo clippy --version >/dev/null 2>&1 || echo clippy
                cargo fmt --version >/dev/null 2>&1 || echo rustfmt
                ;;
            oracle) { have go && at_least "$(go_version)" "$go_minimum"; } || [ -x "$cache/go/bin/go" ] || echo go ;;
            *) die "deps.sh knows build, lint and oracle, not $part" ;;
        esac
    done
}

# --- How this system installs.

manager=none
for candidate in apt-get dnf apk brew; do
    if have "$candidate"; then
        manager=$candidate
        break
    fi
done

# The version of a package that the manager would install; empty if there is none.
offered() {
    case $manager in
        apt-get) LC_ALL=C apt-cache policy "$1" 2>/dev/null | awk '/Candidate: [^(]/ { print $2 }' ;;
        dnf) dnf -q repoquery --latest-limit=1 --qf '%{version}\n' "$1" 2>/dev/null | tail -n 1 ;;
        apk) apk search -x "$1" 2>/dev/null | sed -n "s/^$1-\([0-9]\)/\1/p" ;;
        brew) brew info "$1" 2>/dev/null | sed -n 's/.*stable \([0-9.]*\).*/\1/p' | head -n 1 ;;
    esac
}

# The packages that bring a new enough Rust; nothing where only rustup does. Debian 12's security archive
# keeps a current Rust under other names, for its browsers.
rust_packages() {
    case $manager in
        apt-get) pairs="rustc:cargo rustc-web:cargo-web" ;;
        dnf) pairs="rust:cargo" ;;
        apk) pairs="rust:cargo" ;;
        brew) pairs="rust:" ;;
        *) pairs='' ;;
    esac
    for pair in $pairs; do
        if at_least "$(offered "${pair%%:*}")" "$rust_minimum"; then
            echo "${pair%%:*} ${pair#*:}"
            return
        fi
    done
}

# Which package brings clippy or rustfmt, beside the Rust that is or will be installed.
lint_package() {
    case $manager:$1 in
        apt-get:*)
            web=''
            case "$(rust_packages) $(dpkg-query -W -f '${Status}' rustc-web 2>/dev/null)" in *rustc-web* | *"ok installed"*) web=1 ;; esac
            case ${web}:$1 in
                1:clippy) echo rust-web-clippy ;;
                1:rustfmt) echo rustfmt-web ;;
                :clippy) echo rust-clippy ;;
                :rustfmt) echo rustfmt ;;
            esac
            ;;
        dnf:*) echo "$1" ;;
        apk:clippy) echo rust-clippy ;;
        apk:rustfmt) echo rustfmt ;;
        brew:*) echo rust ;;
    esac
}

# The library and its headers, of the version the system prefers: a tenth of what libclang-dev brings.
libclang_packages() {
    version=$(LC_ALL=C apt-cache depends libclang1 2>/dev/null | sed -n 's/.*Depends: libclang1-\([0-9]*\).*/\1/p' | head -n 1)
    if [ -n "$version" ]; then echo "libclang1-$version libclang-common-$version-dev"; else echo libclang-dev; fi
}

package_of() {
    case $1:$manager in
        c++:apt-get) echo g++ libc6-dev ;;
        c++:dnf) echo gcc-c++ ;;
        c++:apk) echo g++ musl-dev ;;
        c++:*) echo gcc ;;
        libclang:apt-get) libclang_packages ;;
        libclang:dnf) echo clang-libs clang-resource-filesystem ;;
        libclang:apk) echo clang-libclang clang-headers ;;
        libclang:*) echo llvm ;;
        certificates:*) echo ca-certificates ;;
        go:apt-get) echo golang-go ;;
        go:dnf) echo golang ;;
        *) echo "$1" ;;
    esac
}

install_command() {
    case $manager in
        apt-get) echo "apt-get install --yes --no-install-recommends $*" ;;
        dnf) echo "dnf install --assumeyes $*" ;;
        apk) echo "apk add $*" ;;
        brew) echo "brew install $*" ;;
    esac
}

# Runs a command with the rights to install. sudo would drop the proxies.
privileged() {
    if [ "$manager" = brew ] || [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo --preserve-env=http_proxy,https_proxy,no_proxy,HTTP_PROXY,HTTPS_PROXY,NO_PROXY \
            DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

# The commands a person would type for the packages, each after $1.
typed() {
    prefix=$1
    shift
    [ "$manager" != apt-get ] || printf '%sapt-get update && ' "$prefix"
    echo "$prefix$(install_command "$@")"
}

# Stops with the command to type, unless we may run it.
ask() {
    [ "$manager" != brew ] && [ "$(id -u)" != 0 ] || return 0
    have sudo || die "Not root, and no sudo here. As root, type:
    $(typed '' "$@")"
    [ "${YES:-}" != 1 ] || return 0
    [ -t 0 ] || die "This needs sudo, and nobody is here to ask. Set YES=1, or type:
    $(typed 'sudo ' "$@")"
    printf 'May I run this?\n    %s\n[Y/n] ' "$(typed 'sudo ' "$@")"
    read -r answer
    case $answer in
        "" | [yY] | [yY][eE][sS]) ;;
        *) die "Nothing was installed." ;;
    esac
}

# Words of a command that this script has put together are split on purpose.
# shellcheck disable=SC2046
install_packages() {
    echo "Installing: $*"
    privileged $(install_command "$@") || die "That did not work: no network, or no such package? To try again, type:
    $(typed '' "$@")"
}

# The installer from the host that serves the toolchains too, so that one open host is enough.
rustup_command='curl --proto =https --tlsv1.2 -sSfo rustup.sh https://static.rust-lang.org/rustup/rustup-init.sh && sh rustup.sh -y --profile minimal'

install_rustup_toolchain() {
    if have rustup; then
        echo "Installing the stable Rust with rustup, into $HOME"
        { rustup toolchain install stable --profile minimal && rustup default stable; } ||
            die "That did not work: no network? To try again, type: rustup toolchain install stable && rustup default stable"
        return
    fi
    echo "This system offers no Rust $rust_minimum or newer. Installing it with rustup, into $HOME"
    work=$(mktemp -d)
    (cd "$work" && sh -c "$rustup_command --no-modify-path") || die "That did not work: no network? To try again, type:
    $rustup_command"
    rm -r "$work"
    PATH="$HOME/.cargo/bin:$PATH"
}

# --- Do it.

# Built once, with what is installed by now.
rocksdb() { case " $* " in *" build "*) scripts/rocksdb.sh ;; esac }

[ $# -gt 0 ] || set -- build
missing=$(missing_parts "$@" | tr '\n' ' ')
[ -n "$missing" ] || {
    rocksdb "$@"
    exit 0
}

echo "Missing: $missing"
for name in http_proxy https_proxy no_proxy; do
    upper=$(echo "$name" | tr '[:lower:]' '[:upper:]')
    eval "value=\${$name:-\${$upper:-}}"
    # shellcheck disable=SC2154
    [ -z "$value" ] || export "$name=$value"
done
export DEBIAN_FRONTEND=noninteractive

# Sets packages, and rustup where the packages bring no Rust.
plan() {
    packages='' rustup=''
    for part in $missing; do
        case $part in
            rust)
                rust=$(have rustup || rust_packages)
                if [ -n "$rust" ]; then packages="$packages $rust"; else rustup=1; fi
                ;;
            clippy | rustfmt) have rustup || [ -n "$rustup" ] || packages="$packages $(lint_package "$part")" ;;
            *) packages="$packages $(package_of "$part")" ;;
        esac
    done
    [ -z "$rustup" ] || have rustup || have curl || packages="$packages curl ca-certificates"
}

plan
[ -z "$packages" ] || [ "$manager" != none ] || die "No apt-get, dnf, apk or brew here. Install by hand, then repeat:$packages"
# shellcheck disable=SC2086
[ -z "$packages" ] || ask $packages
# The lists of packages may be old or absent. Without rights, and for Rust alone, rustup needs no list.
if [ "$manager" = apt-get ] && { [ -n "$packages" ] || [ "$(id -u)" = 0 ]; }; then
    privileged apt-get update -qq || echo "apt-get update failed; trying with the lists that are here."
    plan
fi
# shellcheck disable=SC2086
[ -z "$packages" ] || install_packages $packages
[ -z "$rustup" ] || install_rustup_toolchain
# Only now: a new Rust comes without the clippy and rustfmt of the old one.
if have rustup; then
    case "$(missing_parts "$@")" in *clippy* | *rustfmt*) rustup component add clippy rustfmt ;; esac
fi
case $missing in *"go "*) scripts/go-toolchain.sh ;; esac

missing=$(missing_parts "$@" | tr '\n' ' ')
[ -z "$missing" ] || die "Still missing: $missing(Rust must be $rust_minimum or newer, Go $go_minimum or newer)"
rocksdb "$@"
echo "Everything is here."
