#!/bin/sh
# Deletes the data directory of `make run`: after asking, and never under a running process.

# shellcheck source=scripts/environment.sh
. "$(dirname "$0")/environment.sh"

[ -e "$data" ] || { echo "Nothing to delete: $data does not exist."; exit 0; }
{ [ -d "$data" ] && [ ! -L "$data" ]; } || die "$data is not a directory; not deleting it."

# The processes that hold a lock on a file of the data directory, one id a line.
holders() {
    if [ -r /proc/locks ]; then
        find "$data" -type f -exec stat -c %i {} + | sort -u |
            awk 'NR == FNR { inode[$1]; next } $2 != "->" { split($6, id, ":"); if (id[3] in inode) print $5 }' - /proc/locks
    elif command -v lsof >/dev/null; then
        lsof -t +D "$data" 2>/dev/null || true
    fi
}

running=$(holders | sort -un | tr '\n' ' ')
[ -z "$running" ] || die "A running process (id ${running% }) uses $data. Stop it first: kill ${running% }"

if [ "${YES:-}" != 1 ]; then
    [ -t 0 ] || die "Not asked, so not deleted. Without questions: YES=1 make reset"
    printf 'Delete %s and everything in it (%s)? [y/N] ' "$data" "$(du -sh "$data" | cut -f 1)"
    read -r answer
    case $answer in
        [yY] | [yY][eE][sS]) ;;
        *) die "Kept $data." ;;
    esac
fi
rm -rf -- "$data"
echo "Deleted $data."
