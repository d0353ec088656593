#!/bin/sh
# Makes a backup of SIDEKEY_DATA in the folder BACKUPS, and removes all but the newest KEEP that were made here.
set -eu
: "${SIDEKEY_DATA:?}" "${BACKUPS:?}" "${KEEP:?}"
case $KEEP in
    '' | *[!0-9]* | 0*) echo "KEEP must be a number from 1: $KEEP" >&2; exit 2 ;;
esac
umask 077
sidekey backup --out "$BACKUPS/sidekey-$(date -u +%Y%m%dT%H%M%SZ).backup"
# Only after the new one is there. The names sort by time and hold nothing but letters, digits, `-` and `.`.
cd "$BACKUPS"
ls | grep -E '^sidekey-[0-9]{8}T[0-9]{6}Z\.backup$' | sort -r | tail -n +"$((KEEP + 1))" | while read -r old; do
    rm -- "$old"
    echo "Removed $old."
done
