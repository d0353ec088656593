#!/bin/sh
# sandbox.sh PACKAGE FOLDER: runs journey.py on this system with the package, in namespaces of its own; what it changes goes to a
# file system in memory over this system's own, and is gone afterwards. Needs root, and util-linux.
set -eu
package=$(realpath "$1")
tests=$(realpath "$(dirname "$0")")
mkdir -p "$2"
cd "$2"
export package tests
exec unshare --mount --pid --net --ipc --fork --kill-child sh -eu -c '
    mount --make-rprivate /
    mount -t tmpfs tmpfs .
    cd "$PWD"
    mkdir upper work system
    mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/upper,workdir=$PWD/work" system
    mount -t proc proc system/proc
    mount --rbind /dev system/dev
    mount --rbind /sys system/sys
    mount -t tmpfs -o mode=0755 tmpfs system/run
    mount -t tmpfs -o mode=1777 tmpfs system/tmp
    mkdir system/run/journey
    cp "$package" system/run/journey/sidekey.deb
    cp "$tests/journey.py" system/run/journey/
    exec chroot system env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root \
        /usr/bin/python3 /run/journey/journey.py /run/journey/sidekey.deb
'
